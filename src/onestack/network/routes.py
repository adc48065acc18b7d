"""Every method and path of the API. A list has no rule here: what it shows is filtered object by object."""

from __future__ import annotations

from collections.abc import Iterator

from onestack.core.routes import Route
from onestack.network.api import cloud, floating_ips, networks, ports, quotas, routers, security_groups, subnets, tags
from onestack.network.api import versions as v


def _tag_routes() -> Iterator[Route]:
    for collection in tags.TAGGED:
        found = tags.handlers(collection)
        resource = collection.replace("-", "_").removesuffix("s")
        base = f"/v2.0/{collection}/{{{resource}_id}}/tags"
        change, remove = f"update_{resource}:tags", f"delete_{resource}:tags"
        yield Route("GET", base, found["index"])
        yield Route("POST", base, found["extend"], f"create_{resource}:tags", dict, target="object")
        yield Route("PUT", base, found["replace"], change, dict, target="object")
        yield Route("DELETE", base, found["clear"], remove, status=204, target="object")
        yield Route("GET", f"{base}/{{tag}}", found["show"], status=204)
        yield Route("PUT", f"{base}/{{tag}}", found["add"], change, status=201, target="object")
        yield Route("DELETE", f"{base}/{{tag}}", found["remove"], remove, status=204, target="object")


ROUTES: list[Route] = [
    Route("GET", "/", v.root, public=True),
    Route("GET", "/v2.0", v.v2, public=True),
    Route("GET", "/v2.0/extensions", v.extensions),
    Route("GET", "/v2.0/extensions/{alias}", v.extension),

    Route("GET", "/v2.0/networks", networks.index),
    Route("POST", "/v2.0/networks", networks.create, "create_network", dict, 201, target="object"),
    Route("GET", "/v2.0/networks/{network_id}", networks.show),
    Route("PUT", "/v2.0/networks/{network_id}", networks.update, "update_network", dict, target="object"),
    Route("DELETE", "/v2.0/networks/{network_id}", networks.delete, "delete_network", status=204, target="object"),

    Route("GET", "/v2.0/subnets", subnets.index),
    Route("POST", "/v2.0/subnets", subnets.create, "create_subnet", dict, 201, target="object"),
    Route("GET", "/v2.0/subnets/{subnet_id}", subnets.show),
    Route("PUT", "/v2.0/subnets/{subnet_id}", subnets.update, "update_subnet", dict, target="object"),
    Route("DELETE", "/v2.0/subnets/{subnet_id}", subnets.delete, "delete_subnet", status=204, target="object"),

    Route("GET", "/v2.0/ports", ports.index),
    Route("POST", "/v2.0/ports", ports.create, "create_port", dict, 201, target="object"),
    Route("GET", "/v2.0/ports/{port_id}", ports.show),
    Route("PUT", "/v2.0/ports/{port_id}", ports.update, "update_port", dict, target="object"),
    Route("DELETE", "/v2.0/ports/{port_id}", ports.delete, "delete_port", status=204, target="object"),

    Route("GET", "/v2.0/routers", routers.index),
    Route("POST", "/v2.0/routers", routers.create, "create_router", dict, 201, target="object"),
    Route("GET", "/v2.0/routers/{router_id}", routers.show),
    Route("PUT", "/v2.0/routers/{router_id}", routers.update, "update_router", dict, target="object"),
    Route("DELETE", "/v2.0/routers/{router_id}", routers.delete, "delete_router", status=204, target="object"),
    Route("PUT", "/v2.0/routers/{router_id}/add_router_interface", routers.add_interface, "add_router_interface", dict,
          target="object"),
    Route("PUT", "/v2.0/routers/{router_id}/remove_router_interface", routers.remove_interface,
          "remove_router_interface", dict, target="object"),
    Route("PUT", "/v2.0/routers/{router_id}/add_extraroutes", routers.add_extra_routes, "add_extraroutes", dict,
          target="object"),
    Route("PUT", "/v2.0/routers/{router_id}/remove_extraroutes", routers.remove_extra_routes, "remove_extraroutes",
          dict, target="object"),

    Route("GET", "/v2.0/floatingips", floating_ips.index),
    Route("POST", "/v2.0/floatingips", floating_ips.create, "create_floatingip", dict, 201, target="object"),
    Route("GET", "/v2.0/floatingips/{floatingip_id}", floating_ips.show),
    Route("PUT", "/v2.0/floatingips/{floatingip_id}", floating_ips.update, "update_floatingip", dict, target="object"),
    Route("DELETE", "/v2.0/floatingips/{floatingip_id}", floating_ips.delete, "delete_floatingip", status=204,
          target="object"),

    Route("GET", "/v2.0/security-groups", security_groups.index),
    Route("POST", "/v2.0/security-groups", security_groups.create, "create_security_group", dict, 201,
          target="object"),
    Route("GET", "/v2.0/security-groups/{security_group_id}", security_groups.show),
    Route("PUT", "/v2.0/security-groups/{security_group_id}", security_groups.update, "update_security_group", dict,
          target="object"),
    Route("DELETE", "/v2.0/security-groups/{security_group_id}", security_groups.delete, "delete_security_group",
          status=204, target="object"),
    Route("GET", "/v2.0/security-group-rules", security_groups.index_rules),
    Route("POST", "/v2.0/security-group-rules", security_groups.create_rule, "create_security_group_rule", dict, 201,
          target="object"),
    Route("GET", "/v2.0/security-group-rules/{rule_id}", security_groups.show_rule),
    Route("DELETE", "/v2.0/security-group-rules/{rule_id}", security_groups.delete_rule, "delete_security_group_rule",
          status=204, target="object"),

    Route("GET", "/v2.0/quotas", quotas.index, "get_quota", target="object"),
    Route("POST", "/v2.0/quotas", quotas.create, "update_quota", dict, target="object"),
    Route("GET", "/v2.0/quotas/tenant", quotas.own_tenant),
    Route("GET", "/v2.0/quotas/project", quotas.own_project),
    Route("GET", "/v2.0/quotas/{project_id}", quotas.show, "get_quota", target="object"),
    Route("PUT", "/v2.0/quotas/{project_id}", quotas.update, "update_quota", dict, target="object"),
    Route("DELETE", "/v2.0/quotas/{project_id}", quotas.reset, "delete_quota", status=204, target="object"),
    Route("GET", "/v2.0/quotas/{project_id}/default", quotas.default, "get_quota", target="object"),
    Route("GET", "/v2.0/quotas/{project_id}/details", quotas.details, "get_quota", target="object"),

    Route("GET", "/v2.0/agents", cloud.agents),
    Route("GET", "/v2.0/agents/{agent_id}", cloud.agent),
    Route("GET", "/v2.0/availability_zones", cloud.availability_zones, "get_availability_zone"),
    Route("GET", "/v2.0/service-providers", cloud.service_providers, "get_service_provider"),
    Route("GET", "/v2.0/network-ip-availabilities", cloud.ip_availabilities),
    Route("GET", "/v2.0/network-ip-availabilities/{network_id}", cloud.ip_availability),
    Route("GET", "/v2.0/auto-allocated-topology/{project_id}", cloud.topology, "get_auto_allocated_topology",
          target="object"),
    Route("DELETE", "/v2.0/auto-allocated-topology/{project_id}", cloud.delete_topology,
          "delete_auto_allocated_topology", status=204, target="object"),

    *_tag_routes(),
]  # fmt: skip
