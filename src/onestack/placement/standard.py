"""The names that every Placement knows without being told: OpenStack's standard resource classes and traits.
Everything else is CUSTOM_…

They are those of the packages os-resource-classes 1.1 and os-traits 3.9. Kept as data: os-traits is some thirty modules
that are imported one by one, and needs pbr."""

from __future__ import annotations

from pathlib import Path

# In the order in which they came to be, the order in which Placement lists them.
RESOURCE_CLASSES = (
    "VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE", "NUMA_THREAD",
    "NUMA_MEMORY_MB", "IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC",
    "NET_BW_IGR_KILOBIT_PER_SEC", "PCPU", "MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU",
    "NET_PACKET_RATE_KILOPACKET_PER_SEC", "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
)  # fmt: skip

_TRAITS = Path(__file__).parent / "files" / "traits.txt"
TRAITS = frozenset(line for line in _TRAITS.read_text("ascii").split("\n") if line and not line.startswith("#"))
