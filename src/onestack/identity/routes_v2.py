"""Identity v2.0. As in Keystone, port 5000 has what everybody may do, and 35357 what admins do as well."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.identity.api import ec2_credentials, versions
from onestack.identity.api.v2 import catalog, extensions, roles, tenants, tokens, users
from onestack.identity.api.v2.common import ADMIN

_OBJECT = "object"


def _admin(method: str, path: str, handler: object, status: int = 200) -> Route:
    body = dict if method in ("POST", "PUT") and status == 200 else None
    return Route(method, path, handler, ADMIN, body, status, target=_OBJECT)  # type: ignore[arg-type]


_EC2 = "/v2.0/users/{user_id}/credentials/OS-EC2"
_BOTH = [
    Route("GET", "/v2.0", versions.show_v2, public=True),
    Route("POST", "/v2.0/tokens", tokens.create, body=dict, public=True),
    Route("GET", "/v2.0/certificates/ca", extensions.certificate, public=True),
    Route("GET", "/v2.0/certificates/signing", extensions.certificate, public=True),
    Route("GET", _EC2, extensions.list_keys, "identity:ec2_list_credentials", target=_OBJECT),
    Route("POST", _EC2, extensions.create_key, "identity:ec2_create_credential", dict, target=_OBJECT),
    Route("GET", _EC2 + "/{access}", extensions.show_key, "identity:ec2_get_credential", target=_OBJECT),
    Route(
        "DELETE", _EC2 + "/{access}", ec2_credentials.delete, "identity:ec2_delete_credential", status=204,
        target=_OBJECT,
    ),
]  # fmt: skip

PUBLIC_ROUTES = [
    *_BOTH,
    Route("GET", "/v2.0/tenants", tenants.own),
    Route("GET", "/v2.0/extensions", extensions.public_index, public=True),
    Route("GET", "/v2.0/extensions/{alias}", extensions.public_show, public=True),
    Route("PATCH", "/v2.0/OS-KSCRUD/users/{user_id}", users.change_own_password, body=dict),
]

_TOKENS = [
    Route("GET", "/v2.0/tokens/revoked", tokens.revoked, ADMIN),
    Route("GET", "/v2.0/tokens/{token_id}", tokens.show, "service_or_admin", target=_OBJECT),
    Route("HEAD", "/v2.0/tokens/{token_id}", tokens.check, "service_or_admin", target=_OBJECT),
    _admin("DELETE", "/v2.0/tokens/{token_id}", tokens.delete, 204),
    _admin("GET", "/v2.0/tokens/{token_id}/endpoints", tokens.endpoints),
]

_TENANTS = [
    _admin("GET", "/v2.0/tenants", tenants.index),
    _admin("POST", "/v2.0/tenants", tenants.create),
    _admin("GET", "/v2.0/tenants/{tenant_id}", tenants.show),
    _admin("PUT", "/v2.0/tenants/{tenant_id}", tenants.update),
    _admin("POST", "/v2.0/tenants/{tenant_id}", tenants.update),
    _admin("DELETE", "/v2.0/tenants/{tenant_id}", tenants.delete, 204),
    _admin("GET", "/v2.0/tenants/{tenant_id}/users", users.in_tenant),
]

_USER = "/v2.0/users/{user_id}"
_USERS = [
    _admin("GET", "/v2.0/users", users.index),
    _admin("POST", "/v2.0/users", users.create),
    _admin("GET", _USER, users.show),
    _admin("PUT", _USER, users.update),
    _admin("DELETE", _USER, users.delete, 204),
    *(_admin("PUT", f"{_USER}/{name}", users.update) for name in (
        "password", "OS-KSADM/password", "tenant", "OS-KSADM/tenant"
    )),
    *(_admin("PUT", f"{_USER}/{name}", users.enable) for name in ("enabled", "OS-KSADM/enabled")),
]  # fmt: skip

_GIVEN = "/v2.0/tenants/{tenant_id}/users/{user_id}/roles"
_ROLES = [
    _admin("GET", "/v2.0/OS-KSADM/roles", roles.index),
    _admin("POST", "/v2.0/OS-KSADM/roles", roles.create),
    _admin("GET", "/v2.0/OS-KSADM/roles/{role_id}", roles.show),
    _admin("DELETE", "/v2.0/OS-KSADM/roles/{role_id}", roles.delete, 204),
    _admin("GET", _GIVEN, roles.of_user),
    Route("PUT", _GIVEN + "/OS-KSADM/{role_id}", roles.add, ADMIN, target=_OBJECT),
    _admin("DELETE", _GIVEN + "/OS-KSADM/{role_id}", roles.remove, 204),
    _admin("GET", _USER + "/roles", roles.without_tenant),
    Route("PUT", _USER + "/roles/OS-KSADM/{role_id}", roles.without_tenant, ADMIN, target=_OBJECT),
    _admin("DELETE", _USER + "/roles/OS-KSADM/{role_id}", roles.without_tenant, 204),
    _admin("GET", _USER + "/roleRefs", roles.list_refs),
    _admin("POST", _USER + "/roleRefs", roles.create_ref),
    _admin("DELETE", _USER + "/roleRefs/{role_ref_id}", roles.delete_ref, 204),
]

_CATALOG = [
    _admin("GET", "/v2.0/OS-KSADM/services", catalog.list_services),
    _admin("POST", "/v2.0/OS-KSADM/services", catalog.create_service),
    _admin("GET", "/v2.0/OS-KSADM/services/{service_id}", catalog.show_service),
    _admin("DELETE", "/v2.0/OS-KSADM/services/{service_id}", catalog.delete_service, 204),
    _admin("GET", "/v2.0/endpoints", catalog.list_endpoints),
    _admin("POST", "/v2.0/endpoints", catalog.create_endpoint),
    _admin("DELETE", "/v2.0/endpoints/{endpoint_id}", catalog.delete_endpoint, 204),
]

ADMIN_ROUTES = [
    *_BOTH, *_TOKENS, *_TENANTS, *_USERS, *_ROLES, *_CATALOG,
    Route("GET", "/v2.0/extensions", extensions.admin_index, public=True),
    Route("GET", "/v2.0/extensions/{alias}", extensions.admin_show, public=True),
]  # fmt: skip
