"""What extra specs of flavors may be called and hold since microversion 2.86, in Nova's words for what they may not.

Inside the namespaces below only these names are known; other namespaces, and names without one, are the operator's own.
Source: Nova's configuration guide, "Extra Specs".
"""

from __future__ import annotations

import re
from collections.abc import Callable

from onestack.core.errors import BadRequest
from onestack.core.words import truth
from onestack.placement import public as placement

Check = Callable[[str], str | None]  # value → what is wrong with it

_GROUP = "([a-zA-Z0-9_-]{1,64})?"  # behind `resources` and `trait`: what is asked of one provider together


def _anything(_value: str) -> str | None:
    return None


def _flag(value: str) -> str | None:
    return None if truth(value) is not None else f"'{value}' is not a valid boolean-like value."


def _whole(low: int | None = None, high: int | None = None) -> Check:
    def check(value: str) -> str | None:
        try:
            number = int(value)
        except ValueError:
            return f"'{value}' is not a valid integer value."
        if high is not None and number > high:
            return f"'{number}' is greater than the max value of '{high}'."
        if low is not None and number < low:
            return f"'{number}' is less than the min value of '{low}'."
        return None

    return check


def _one_of(*values: str) -> Check:
    return lambda value: None if value in values else f"'{value}' is not one of: {', '.join(values)}."


def _form(shown: str, pattern: str | None = None) -> Check:
    """`pattern` is the same language as `shown`, where Nova's own expression can take for ever to say no."""
    matching = re.compile(pattern or shown)
    return lambda value: None if matching.fullmatch(value) else f"'{value}' is not of the format '{shown}'."


_count, _from_one = _whole(0), _whole(1)
_cpus = r"\^?\d+(?:-\d+|,\^?\d+)*"
_CPU_SET = _form(r"\^?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*", _cpus)
_VMWARE = "cpu", "memory", "disk_io", "vif"

_NAMES: dict[str, Check] = {
    "accel:device_profile": _anything,
    "group_policy": _one_of("isolate", "none"),
    "hide_hypervisor_id": _flag,
    "hw:boot_menu": _flag,
    "hw:cpu_cores": _from_one,
    "hw:cpu_dedicated_mask": _CPU_SET,
    "hw:cpu_max_cores": _from_one,
    "hw:cpu_max_sockets": _from_one,
    "hw:cpu_max_threads": _from_one,
    "hw:cpu_policy": _one_of("dedicated", "shared", "mixed"),
    "hw:cpu_realtime": _flag,
    "hw:cpu_realtime_mask": _form(r"(\^)?\d+((-\d+)?(,\^?\d+(-\d+)?)?)*", _cpus),
    "hw:cpu_sockets": _from_one,
    "hw:cpu_thread_policy": _one_of("prefer", "isolate", "require"),
    "hw:cpu_threads": _from_one,
    "hw:emulator_threads_policy": _one_of("isolate", "share"),
    "hw:ephemeral_encryption": _flag,
    "hw:ephemeral_encryption_format": _one_of("plain", "luks", "luksv2"),
    "hw:hide_hypervisor_id": _flag,
    "hw:locked_memory": _flag,
    "hw:mem_encryption": _flag,
    "hw:mem_encryption_model": _one_of("amd-sev", "amd-sev-es", "amd-sev-snp", "intel-tdx"),
    "hw:mem_page_size": _form(r"(large|small|any|\d+([kKMGT]i?)?(b|bit|B)?)"),
    "hw:numa_nodes": _from_one,
    "hw:pci_numa_affinity_policy": _one_of("required", "preferred", "legacy", "socket"),
    "hw:pmem": _form("([a-zA-Z0-9_]+(,)?)+", "[a-zA-Z0-9_]+(?:,[a-zA-Z0-9_]+)*,?"),
    "hw:pmu": _flag,
    "hw:redirected_usb_ports": _whole(0, 15),
    "hw:serial_port_count": _count,
    "hw:sound_model": _one_of("sb16", "es1370", "pcspk", "ac97", "ich6", "ich9", "usb", "virtio"),
    "hw:tpm_model": _one_of("tpm-tis", "tpm-crb"),
    "hw:tpm_secret_security": _one_of("user", "host", "deployment"),
    "hw:tpm_version": _one_of("1.2", "2.0"),
    "hw:usb_model": _one_of("none", "nec-xhci", "qemu-xhci"),
    "hw:vif_multiqueue_enabled": _flag,
    "hw:viommu_model": _one_of("intel", "smmuv3", "virtio", "auto"),
    "hw:virtio_packed_ring": _flag,
    "hw:watchdog_action": _one_of("none", "pause", "poweroff", "reset", "disabled"),
    "hw_rng:allowed": _flag,
    "hw_rng:rate_bytes": _count,
    "hw_rng:rate_period": _count,
    "hw_video:ram_max_mb": _count,
    "os:secure_boot": _one_of("disabled", "required"),
    "pci_passthrough:alias": _form(r"[^:]+:\d+(?:\s*,\s*[^:]+:\d+)*"),
    "quota:cpu_period": _count,
    "quota:cpu_quota": _whole(),
    "quota:cpu_shares": _count,
    "vmware:hw_version": _anything,
    "vmware:storage_policy": _anything,
    **{f"quota:{what}_limit": _count for what in _VMWARE},
    **{f"quota:{what}_reservation": _whole() for what in _VMWARE},
    **{f"quota:{what}_shares_level": _one_of("custom", "high", "normal", "low") for what in _VMWARE},
    **{f"quota:{what}_shares_share": _count for what in _VMWARE},
    **{f"quota:disk_{how}_{what}_sec": _count for how in ("read", "write", "total") for what in ("bytes", "iops")},
    **{f"quota:vif_{way}_{what}": _count for way in ("inbound", "outbound") for what in ("average", "peak", "burst")},
    **{
        f"capabilities:{what}": _anything
        for what in (
            "id", "uuid", "service_id", "host", "vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used",
            "local_gb_used", "hypervisor_type", "hypervisor_version", "hypervisor_hostname", "free_ram_mb",
            "free_disk_gb", "current_workload", "running_vms", "disk_available_least", "host_ip", "mapped",
            "cpu_allocation_ratio", "ram_allocation_ratio", "disk_allocation_ratio", "total_usable_ram_mb",
            "total_usable_disk_gb", "disk_mb_used", "free_disk_mb", "vcpus_total", "num_instances", "num_io_ops",
            "failed_builds", "aggregates", "cell_uuid", "updated",
        )
    },
}  # fmt: skip

_DEEP = (
    "cpu_info|metrics|stats|numa_topology|supported_hv_specs|pci_device_pools|nodename|pci_stats|supported_instances|"
    "limits|instances"
)
_FORMS: tuple[tuple[re.Pattern[str], Check], ...] = (
    (re.compile("aggregate_instance_extra_specs:.+"), _anything),
    (re.compile(rf"capabilities:({_DEEP})(:\w+)*"), _anything),
    # Any character stands for the dot, as with Nova.
    (re.compile(r"hw:numa_cpus.\d+"), _CPU_SET),
    (re.compile(r"hw:numa_mem.\d+"), _from_one),
    (re.compile(f"resources{_GROUP}:({'|'.join(placement.standard_classes())}|CUSTOM_[A-Z0-9_]+)"), _whole()),
)
_TRAIT = re.compile(f"trait{_GROUP}:([A-Z0-9_]+)")
_TRAIT_VALUES = _one_of("required", "forbidden")
_NAMESPACES = re.compile(
    "accel|aggregate_instance_extra_specs|capabilities|hw|hw_rng|hw_video|os|pci_passthrough|quota|vmware"
    f"|resources{_GROUP}|trait{_GROUP}"
)


def check(name: str, value: str) -> None:
    """Raises BadRequest."""
    known = _find(name)
    if known is not None:
        problem = known(value)
    elif ":" in name and _NAMESPACES.fullmatch(name.partition(":")[0]):
        problem = f"extra spec '{name}' does not appear to be a valid extra spec."
    else:
        problem = None
    if problem is not None:
        raise BadRequest(f"Validation failed; {problem}")


def _find(name: str) -> Check | None:
    if name in _NAMES:
        return _NAMES[name]
    trait = _TRAIT.fullmatch(name)
    if trait is not None and _is_trait(trait.group(2)):
        return _TRAIT_VALUES
    return next((found for form, found in _FORMS if form.fullmatch(name)), None)


def _is_trait(name: str) -> bool:
    return name in placement.standard_traits() or (len(name) > len("CUSTOM_") and name.startswith("CUSTOM_"))
