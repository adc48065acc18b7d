"""Settings: one TOML file, few options, each with a good default, all checked at start.

The file is `onestack.toml` in the state directory. Three of the options can also be given in the
environment, because they choose *which* cloud a command means: ONESTACK_STATE, ONESTACK_PORT_OFFSET and
ONESTACK_HYPERVISOR. An unknown key or a wrong type is an error that names the key.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import tomllib
from pathlib import Path
from typing import Literal

import msgspec

# The ports that people know. The catalog is made from this table; every one moves by `port_offset`.
PORTS: dict[str, int] = {
    "identity": 5000,
    "identity-admin": 35357,
    "image": 9292,
    "image-registry": 9191,
    "compute": 8774,
    "metadata": 8775,
    "placement": 8778,
    "network": 9696,
    "console": 6080,
}

Hypervisor = Literal["auto", "kvm", "qemu", "fake"]


class ConfigError(Exception):
    """A setting is missing or wrong; the message names it and says what is allowed."""


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[network]` table."""

    # The external network `public`. Its first address is the host's, on the bridge br-ex; the rest are for
    # routers and floating IPs.
    external_cidr: str = "172.24.4.0/24"
    dns_servers: list[str] = msgspec.field(default_factory=list)  # empty: those of the host's resolv.conf
    mtu: int = 1500  # of the underlay; tenant networks get 58 less (geneve)


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[identity]` table."""

    token_provider: Literal["fernet", "jws"] = "fernet"  # noqa: S105 - what new tokens are; both kinds are accepted
    token_expiration: int = 3600  # seconds that a token lasts
    receipt_expiration: int = 300  # seconds that somebody has for the other factors of a log-in
    totp_previous_windows: int = 1  # how many codes of 30 seconds before the current one are taken as well
    totp_single_use: bool = False  # refuse a code that was used already (RFC 6238, 5.2); Keystone doesn't
    max_redelegation_count: int = 3  # how many times a trust can be handed on
    max_password_length: int = 4096  # bytes; what is longer is cut, or refused with strict_password_check
    strict_password_check: bool = False
    max_project_tree_depth: int = 5  # of projects below a domain
    project_name_url_safe: Literal["off", "new", "strict"] = "off"
    domain_name_url_safe: Literal["off", "new", "strict"] = "off"
    list_limit: int | None = None  # how many items a list has when the client names no limit
    limit_enforcement_model: Literal["flat", "strict_two_level"] = "flat"  # of unified limits in a tree of projects
    # What a project sees whose endpoint filters leave nothing: the whole catalog, or an empty one.
    return_all_endpoints_if_no_filter: bool = True
    admin_token: str = ""  # whoever sends it as X-Auth-Token to identity is an admin; empty: there is none


class Compute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[compute]` table. Ratios are those of placement's inventories."""

    cpu_allocation_ratio: float = 4.0
    ram_allocation_ratio: float = 1.0
    disk_allocation_ratio: float = 1.0
    reserved_host_memory_mb: int = 512
    fake_hosts: int = 1  # how many hosts one agent plays with the fake hypervisor


class SecurityCompliance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[security_compliance]` table; names and defaults are Keystone's. None: off."""

    disable_user_account_days_inactive: int | None = None
    lockout_failure_attempts: int | None = None
    lockout_duration: int = 1800  # seconds; 0: until an administrator enables the account
    password_expires_days: int | None = None
    unique_last_password_count: int = 0
    minimum_password_age: int = 0  # days
    password_regex: str | None = None
    password_regex_description: str | None = None
    change_password_upon_first_use: bool = False


class ImportFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[image.import_filter]` table: where web-download may go, under the names and defaults of Glance's
    `import_filtering_opts`. A list of what is allowed makes the one of what isn't void."""

    allowed_schemes: list[str] = msgspec.field(default_factory=lambda: ["http", "https"])
    disallowed_schemes: list[str] = msgspec.field(default_factory=list)
    allowed_hosts: list[str] = msgspec.field(default_factory=list)
    disallowed_hosts: list[str] = msgspec.field(default_factory=list)
    allowed_ports: list[int] = msgspec.field(default_factory=lambda: [80, 443])
    disallowed_ports: list[int] = msgspec.field(default_factory=list)
    # Networks that would be refused because they are not public: private, loopback, link-local …
    allowed_networks: list[str] = msgspec.field(default_factory=list)


class ImageStore(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[image.stores.<name>]` table. Which keys a type needs is said in `STORE_NEEDS`."""

    type: Literal["file", "s3", "swift", "rbd", "http"]
    description: str = ""
    weight: int = 0
    path: str = ""  # file: the folder, below the state directory when it is relative; empty: `images`
    endpoint: str = ""  # s3: URL of the server
    region: str = ""  # s3, swift
    bucket: str = ""  # s3
    access_key: str = ""  # s3
    secret_key: str = ""  # s3
    auth_url: str = ""  # swift: Identity v3
    user: str = ""  # swift, rbd
    password: str = ""  # swift
    project: str = ""  # swift
    user_domain: str = "default"  # swift: id
    project_domain: str = "default"  # swift: id
    container: str = "glance"  # swift
    pool: str = "images"  # rbd
    ceph_conf: str = "/etc/ceph/ceph.conf"  # rbd


STORE_NEEDS: dict[str, tuple[str, ...]] = {
    "file": (), "s3": ("endpoint", "bucket", "access_key", "secret_key"),
    "swift": ("auth_url", "user", "password", "project", "container"), "rbd": ("user", "pool", "ceph_conf"), "http": (),
}  # fmt: skip
# The Python modules that drivers of stores stand on; most clouds have none of them.
STORE_MODULES = {"s3": "boto3", "swift": "swiftclient", "rbd": "rbd"}
IMPORT_METHODS = ("glance-direct", "web-download", "copy-image", "glance-download")
IMPORT_PLUGINS = ("image_decompression", "image_conversion", "inject_image_metadata")
DISK_FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")
CONTAINER_FORMATS = ("ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed")
_FORMAT_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,19}$")
_STORE_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class ImageConversion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[image.image_conversion]` table: what the import plug-in of that name makes of an image."""

    output_format: Literal["raw", "qcow2", "vmdk"] = "raw"


class InjectMetadata(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[image.inject_metadata_properties]` table, for the import plug-in inject_image_metadata."""

    inject: dict[str, str] = msgspec.field(default_factory=dict)  # custom properties that imported images get
    ignore_user_roles: list[str] = msgspec.field(default_factory=lambda: ["admin"])  # who has one gets none of them


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `[image]` table. Names are Glance's where Glance has them."""

    default_store: str = "file"
    stores: dict[str, ImageStore] = msgspec.field(default_factory=lambda: {"file": ImageStore(type="file")})
    enabled_import_methods: list[str] = msgspec.field(default_factory=lambda: list(IMPORT_METHODS))
    import_filter: ImportFilter = msgspec.field(default_factory=ImportFilter)
    # What an import does with the data before it goes to the stores, in this order.
    image_import_plugins: list[str] = msgspec.field(default_factory=list)
    image_conversion: ImageConversion = msgspec.field(default_factory=ImageConversion)
    inject_metadata_properties: InjectMetadata = msgspec.field(default_factory=InjectMetadata)
    disk_formats: list[str] = msgspec.field(default_factory=lambda: list(DISK_FORMATS))  # that images may have
    container_formats: list[str] = msgspec.field(default_factory=lambda: list(CONTAINER_FORMATS))
    image_size_cap: int = 1 << 40  # bytes of one image
    # How many an image may have; less than 0: any number.
    image_property_quota: int = 128
    image_tag_quota: int = 128
    image_member_quota: int = 128
    image_location_quota: int = 10
    user_storage_quota: str = "0"  # what a project may store in all: 5GB, 512MB …; 0: no limit
    download_timeout: int = 6 * 3600  # seconds that web-download may take in all
    show_multiple_locations: bool = False
    show_image_direct_url: bool = False
    do_secure_hash: bool = True  # hash what is behind a location that was added
    task_time_to_live: int = 48  # hours that a task is kept after its end
    image_cache_max_size: int = 10 << 30  # bytes; what is beyond is pruned, least recently used first
    property_protection_file: str = ""  # below the state directory when it is relative; empty: nothing is protected
    property_protection_rule_format: Literal["roles", "policies"] = "roles"  # what the file's rules are


def storage_bytes(text: str) -> int:
    """What a number with B, KB, MB, GB or TB behind it says, as Glance reads it. Raises ConfigError."""
    match = re.fullmatch(r"(\d{1,18})(?:([KMGT]?)B)?", text, re.ASCII)
    if match is None:
        raise ConfigError(f"image.user_storage_quota is a number, perhaps with B, KB, MB, GB or TB, not {text!r}")
    return int(match[1]) << (10 * " KMGT".index(match[2] or " "))


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set. `state` is where the cloud lives; all paths below derive from it."""

    state: str = ""
    host: str = ""  # this machine's name as a hypervisor; empty: its hostname, with a real cloud's offset
    bind: str = "127.0.0.1"  # address that the APIs listen on
    public_host: str = ""  # name or address in the catalog; empty: `bind`, or 127.0.0.1 when that is a wildcard
    port_offset: int = 0
    region: str = "RegionOne"
    database: str = ""  # SQLAlchemy URL; empty: SQLite in the state directory
    hypervisor: Hypervisor = "auto"
    log_format: Literal["text", "json"] = "text"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    threads: int = 16  # request handlers that run at once, in each server
    servers: int = 1  # server processes of this machine, which share the ports
    identity: Identity = msgspec.field(default_factory=Identity)
    network: Network = msgspec.field(default_factory=Network)
    compute: Compute = msgspec.field(default_factory=Compute)
    security_compliance: SecurityCompliance = msgspec.field(default_factory=SecurityCompliance)
    image: Image = msgspec.field(default_factory=Image)

    @property
    def root(self) -> Path:
        return Path(self.state)

    @property
    def hostname(self) -> str:
        """The host's name as a hypervisor and OVN chassis. Two real clouds on one machine are two hosts."""
        if self.host:
            return self.host
        second = self.port_offset and self.hypervisor != "fake"
        return f"{socket.gethostname()}-{self.port_offset}" if second else socket.gethostname()

    @property
    def endpoint_host(self) -> str:
        if self.public_host:
            return self.public_host
        return "127.0.0.1" if self.bind in ("0.0.0.0", "::", "") else self.bind  # noqa: S104

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.path('db', 'onestack.sqlite')}"

    @property
    def integration_bridge(self) -> str:
        """OVN's bridge of this cloud; Open vSwitch is shared by the clouds of a machine, bridges are not."""
        return f"br-int-{self.port_offset}" if self.port_offset else "br-int"

    @property
    def external_bridge(self) -> str:
        return f"br-ex-{self.port_offset}" if self.port_offset else "br-ex"

    def path(self, *parts: str) -> Path:
        """A path below the state directory, e.g. `path("run", "agent.sock")`."""
        return self.root.joinpath(*parts)

    def port(self, service: str) -> int:
        return PORTS[service] + self.port_offset

    def url(self, service: str) -> str:
        """The public root URL of a service, without a trailing slash: `http://127.0.0.1:8774`."""
        return f"http://{self.endpoint_host}:{self.port(service)}"


def default_state() -> str:
    """Root's cloud is the machine's; anybody else's lives in their home."""
    if os.geteuid() == 0:
        return "/var/lib/onestack"
    return os.path.join(os.path.expanduser("~"), ".local", "share", "onestack")


def load(state: str | None = None, *, port_offset: int | None = None, hypervisor: str | None = None) -> Settings:
    """Read the settings of one cloud: arguments beat the environment, which beats the file, which beats defaults.

    Raises ConfigError with a message for the user.
    """
    directory = os.path.abspath(state or os.environ.get("ONESTACK_STATE") or default_state())
    file = os.path.join(directory, "onestack.toml")
    values = _read(file)
    if "state" in values:
        raise ConfigError(f"{file}: `state` is where this file is; choose it with --state or ONESTACK_STATE")
    values["state"] = directory
    offset = port_offset if port_offset is not None else os.environ.get("ONESTACK_PORT_OFFSET")
    if offset not in (None, ""):
        values["port_offset"] = offset
    chosen = hypervisor or os.environ.get("ONESTACK_HYPERVISOR")
    if chosen:
        values["hypervisor"] = chosen
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}: {error}") from error
    check(settings)
    return settings


def named(state: str) -> set[str]:
    """What the file in this state directory says by itself. Raises ConfigError."""
    return set(_read(os.path.join(state, "onestack.toml")))


def _read(file: str) -> dict[str, object]:
    if not os.path.exists(file):
        return {}
    try:
        with open(file, "rb") as handle:
            return tomllib.load(handle)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error


def check(settings: Settings) -> None:
    """Refuse values that would only fail later. Raises ConfigError."""
    highest = 65535 - max(PORTS.values())
    if not 0 <= settings.port_offset <= highest:
        raise ConfigError(f"port_offset must be from 0 to {highest}, not {settings.port_offset}")
    try:
        external = ipaddress.ip_network(settings.network.external_cidr)
    except ValueError as error:
        raise ConfigError(f"network.external_cidr: {error}") from error
    if external.num_addresses < 8:
        raise ConfigError("network.external_cidr is too small: it must hold at least 8 addresses")
    if not 1280 <= settings.network.mtu <= 65535:
        raise ConfigError(f"network.mtu must be from 1280 to 65535, not {settings.network.mtu}")
    _check_identity(settings.identity)
    if settings.threads < 1:
        raise ConfigError("threads must be at least 1")
    if not 1 <= settings.servers <= 32:
        raise ConfigError(f"servers must be from 1 to 32, not {settings.servers}")
    if settings.database and not settings.database.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ConfigError("database must begin with postgresql+psycopg:// (or sqlite:///)")
    if settings.compute.fake_hosts < 1:
        raise ConfigError("compute.fake_hosts must be at least 1")
    _check_accounts(settings)
    _check_image(settings.image)


def _check_identity(identity: Identity) -> None:
    for name, low, high in (
        ("token_expiration", 60, 30 * 86400),
        ("receipt_expiration", 1, 86400),
        ("totp_previous_windows", 0, 10),
        ("max_redelegation_count", 0, 100),
        ("max_password_length", 1, 4096),
        ("max_project_tree_depth", 1, 30),
    ):
        if not low <= getattr(identity, name) <= high:
            raise ConfigError(f"identity.{name} must be from {low} to {high}, not {getattr(identity, name)}")
    token = identity.admin_token
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("identity.admin_token goes into a header: it must be printable ASCII without spaces")


_MOST = 1_000_000  # days or seconds: what is added to a date must stay one


def _check_accounts(settings: Settings) -> None:
    if settings.identity.list_limit is not None and settings.identity.list_limit < 1:
        raise ConfigError(f"identity.list_limit must be at least 1, not {settings.identity.list_limit}")
    rules = settings.security_compliance
    for name, least in (
        ("disable_user_account_days_inactive", 1),
        ("lockout_failure_attempts", 1),
        ("lockout_duration", 0),
        ("password_expires_days", 1),
        ("unique_last_password_count", 0),
        ("minimum_password_age", 0),
    ):
        value = getattr(rules, name)
        if value is not None and not least <= value <= _MOST:
            raise ConfigError(f"security_compliance.{name} must be from {least} to {_MOST}, not {value}")
    try:
        re.compile(rules.password_regex or "")
    except re.error as error:
        raise ConfigError(f"security_compliance.password_regex: {error}") from error
    if rules.password_expires_days is not None and rules.minimum_password_age >= rules.password_expires_days:
        raise ConfigError("security_compliance.minimum_password_age must be less than password_expires_days")


def _check_image(image: Image) -> None:
    if image.default_store not in image.stores:
        raise ConfigError(f"image.default_store: there is no table [image.stores.{image.default_store}]")
    if image.stores[image.default_store].type == "http":
        raise ConfigError("image.default_store: a store of type http can only be read")
    for name, store in image.stores.items():
        if not _STORE_NAME.match(name) or name.startswith("os_glance_"):
            raise ConfigError(f"image.stores: {name!r} is no name for a store")
        for key in STORE_NEEDS[store.type]:
            if not getattr(store, key):
                raise ConfigError(f"image.stores.{name}.{key} must be set for a store of type {store.type}")
    for method in image.enabled_import_methods:
        if method not in IMPORT_METHODS:
            raise ConfigError(f"image.enabled_import_methods: {method!r} is none of {', '.join(IMPORT_METHODS)}")
    _check_import_plugins(image)
    for name in ("disk_formats", "container_formats"):
        if not getattr(image, name):
            raise ConfigError(f"image.{name} is empty: no image could be made")
        for one in getattr(image, name):
            if not _FORMAT_NAME.match(one):
                raise ConfigError(f"image.{name}: {one!r} is no format (at most 20 small letters and digits)")
    for network in image.import_filter.allowed_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ConfigError(f"image.import_filter.allowed_networks: {error}") from error
    for limit in ("image_size_cap", "download_timeout", "task_time_to_live", "image_cache_max_size"):
        if getattr(image, limit) < 1:
            raise ConfigError(f"image.{limit} must be at least 1")
    storage_bytes(image.user_storage_quota)


def _check_import_plugins(image: Image) -> None:
    plugins = image.image_import_plugins
    for plugin in plugins:
        if plugin not in IMPORT_PLUGINS:
            raise ConfigError(f"image.image_import_plugins: {plugin!r} is none of {', '.join(IMPORT_PLUGINS)}")
    if len(set(plugins)) < len(plugins):
        raise ConfigError("image.image_import_plugins: a plug-in is named twice")
    for name in image.inject_metadata_properties.inject:
        if not 0 < len(name) <= 255:
            raise ConfigError("image.inject_metadata_properties.inject: a property's name has 1 to 255 characters")
