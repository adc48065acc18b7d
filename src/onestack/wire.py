"""The words that server and agent exchange: JSON over HTTP, a unix socket on one machine.

The server listens on `<state>/run/agent.sock`; every request carries `Authorization: Bearer <token>`, a token
that belongs to one host, and is answered only with what is bound to that host.

| request | answer | meaning |
|---|---|---|
| POST /v1/hello, HostReport | Welcome | register the host, or refresh what it reports; sent at start and every minute |
| GET /v1/work?after=N&wait=S | Work | blocks up to S seconds until something changed after revision N; 0: all |
| POST /v1/status, StatusReport | {} | what became of objects; safe to send twice |
| GET /v1/images/{image_id} | bytes | image data (with Range), only of images that a server on this host is made from |
| POST /v1/operations/{operation_id}/image, ImageOffer | ImageAnswer | a copy of a disk is about to be made, or sent |
| PUT /v1/operations/{operation_id}/image, bytes | {} | the copy; taken once, for an operation of SNAPSHOTS |
| GET /v1/servers/{server_id}/config-drive | ConfigDrive | the files of the config drive |
| GET /v1/metadata/{network_id}/{address}/{path} | bytes | what 169.254.169.254 answers to that address; status as is |
| POST /v1/answers/{question_id}, Answer | {} | the answer to a Question |
| WS /v1/streams/{stream_id} | bytes both ways | a console: opened by the agent when a Question asks for it |

The agent is level-triggered: a ServerSpec says how things must be, never what to do next. Every message is
idempotent; an agent or a server may die between any two of them.

- A token belongs to one agent. An agent is one host, except with the fake hypervisor, where it says hello once for
  each host that it plays (`compute.fake_hosts`); its work and its statuses cover all of them, ServerSpec.host says
  which is meant.
- What a host runs is ended by a spec with desired="absent" and by nothing else: not being in a full Work does not
  delete. The server therefore sends such a spec also for each id in HostReport.servers that is not bound to the host
  (the revision may be the current one, everything else may be left at its defaults).
- A spec is answered with a status each time it is received. An operation that ended is not run again for the same
  id, its result is only repeated. `power` stays "pending" until a server's create has defined it.
- When a create fails, the agent removes what it had made, then reports failed with power="absent".
- An operation of SNAPSHOTS leaves power alone: what the guest does meanwhile is its own business. The server ends its
  side of it in the transaction that makes the image active; from then on, and when the image was deleted, it wants no
  copy any more. What is left of a copy belongs to no other operation and is removed.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Desired = Literal["running", "stopped", "paused", "suspended", "absent"]
Power = Literal["pending", "running", "paused", "shutdown", "crashed", "suspended", "absent"]

SNAPSHOTS = frozenset(("createImage", "createBackup"))  # operations that make an image of a server's root disk


class HostReport(msgspec.Struct, kw_only=True):
    """What a host is. Memory in MiB, disk in GiB, both totals of the machine."""

    hostname: str
    hypervisor_type: str  # "QEMU" (kvm or tcg) or "fake", as os-hypervisors shows it
    virt_type: Literal["kvm", "qemu", "fake"]
    hypervisor_version: int  # 7002022 is 7.2.22
    vcpus: int
    memory_mb: int
    disk_gb: int
    memory_used_mb: int = 0
    disk_used_gb: int = 0
    disk_free_gb: int = 0
    cpu_info: dict[str, Any] = {}
    host_ip: str = ""
    boot_id: str = ""
    running_vms: int = 0
    servers: list[str] = []  # ids of the domains found on the host that carry this cloud's mark


class Welcome(msgspec.Struct, kw_only=True):
    host_id: str
    heartbeat_seconds: int


class DiskSpec(msgspec.Struct, kw_only=True):
    """A local disk. `root` is made from `image_id` (or empty), the others are empty and formatted."""

    kind: Literal["root", "ephemeral", "swap"]
    index: int
    size_gb: int = 0  # 0: as large as the image
    size_mb: int = 0  # swap only
    bus: str = "virtio"


class NicSpec(msgspec.Struct, kw_only=True):
    """A network interface. Its tap is `tap<first 11 characters of port_id>`, plugged into br-int with
    external_ids:iface-id = port_id."""

    port_id: str
    mac: str
    network_id: str
    mtu: int
    model: str = "virtio"


class ImageSpec(msgspec.Struct, kw_only=True):
    id: str
    disk_format: str  # raw or qcow2, as stored
    size: int  # bytes, of the file
    virtual_size: int
    os_hash_algo: str
    os_hash_value: str
    properties: dict[str, str] = {}  # hw_machine_type, hw_disk_bus, hw_vif_model, hw_video_model, os_type …


class OperationSpec(msgspec.Struct, kw_only=True):
    """The operation that a spec belongs to. While it runs, the agent converges whatever happens (a killed QEMU is
    started again); outside one, a guest that powers off stays off and is reported."""

    id: str
    action: str  # os-instance-actions names: create, start, stop, reboot, pause, unpause, suspend, resume, delete …
    args: dict[str, Any] = {}  # reboot: {"type": "SOFT" | "HARD"}; stop, reboot: {"timeout": seconds for the guest}
    request_id: str = ""


class ServerSpec(msgspec.Struct, kw_only=True):
    """How a server must be on this host. `revision` grows with every change of it."""

    id: str
    revision: int
    name: str
    desired: Desired
    project_id: str = ""
    user_id: str = ""
    host: str = ""  # hostname of the host that it is bound to
    hostname: str = ""  # of the guest
    operation: OperationSpec | None = None
    vcpus: int = 1
    memory_mb: int = 128
    image: ImageSpec | None = None
    disks: list[DiskSpec] = []
    nics: list[NicSpec] = []
    config_drive: bool = False
    flavor_name: str = ""
    extra_specs: dict[str, str] = {}
    metadata: dict[str, str] = {}  # the fake hypervisor obeys fake:delay, fake:fail (see its module)


class NetworkSpec(msgspec.Struct, kw_only=True):
    """A network that has a server's port on this host: its metadata localport must be plugged here."""

    id: str
    revision: int
    metadata_port_id: str
    mac: str
    addresses: list[str] = []  # "10.0.0.2/24", one for each IPv4 subnet
    mtu: int = 1442
    present: bool = True


class Question(msgspec.Struct, kw_only=True):
    """Something that only the host knows, asked while a user waits.

    kinds: `console_output` (args: length, lines from the end, 0 = all; answer: {"output": str}),
    `console_stream` (args: stream_id, type "vnc" | "serial", and `socket`, the name of the socket to open it at where
    there are several servers; the agent opens the stream, then answers {}),
    `diagnostics` (answer: libvirt's figures).
    """

    id: str
    kind: str
    server_id: str
    args: dict[str, Any] = {}


class Answer(msgspec.Struct, kw_only=True):
    ok: bool
    body: dict[str, Any] = {}
    error: str = ""


class Work(msgspec.Struct, kw_only=True):
    """What changed after the revision asked for; `full` when `servers` is everything that is bound to the host.

    `networks` is always every network of this host: one that isn't in it has no server here any more.
    """

    revision: int
    full: bool = False
    servers: list[ServerSpec] = []
    networks: list[NetworkSpec] = []
    questions: list[Question] = []


class StepEvent(msgspec.Struct, kw_only=True):
    """One step of an operation, as os-instance-actions shows it. Times are seconds since the epoch, UTC."""

    event: str
    start: float
    finish: float | None = None
    result: Literal["Success", "Error"] | None = None
    message: str = ""


class Fault(msgspec.Struct, kw_only=True):
    """Why an operation failed, in words for the user (`message`) and for the operator (`details`)."""

    message: str
    details: str = ""


class ServerStatus(msgspec.Struct, kw_only=True):
    """How a server is on this host. `operation_state` is set when an operation began or ended."""

    id: str
    revision: int  # of the spec that it answers to; 0: seen without one
    power: Power
    operation_id: str | None = None
    operation_state: Literal["running", "done", "failed"] | None = None
    fault: Fault | None = None
    steps: list[StepEvent] = []  # all of the operation so far, not only the new ones


class StatusReport(msgspec.Struct, kw_only=True):
    servers: list[ServerStatus] = []


class ImageOffer(msgspec.Struct, kw_only=True):
    """What the agent has for an operation of SNAPSHOTS."""

    size: int | None = None  # bytes of the file; None: the copy is yet to be made
    disk_format: str = "qcow2"


class ImageAnswer(msgspec.Struct, kw_only=True):
    wanted: bool  # False: the image has its data already, or is no more


class DriveFile(msgspec.Struct, kw_only=True):
    path: str
    content: bytes  # base64 on the wire


class ConfigDrive(msgspec.Struct, kw_only=True):
    files: list[DriveFile]
