"""The words of a domain's XML that carry meaning for us (https://libvirt.org/formatdomain.html), read and written.

A domain is ours when its metadata says so:
    <onestack:server xmlns:onestack="urn:onestack:server:1" cloud="…" operation="…"/>
`operation` is the mark of plan.py. Each interface has the alias `ua-<port id>`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # only libvirt's own words are parsed here, never a guest's
from dataclasses import dataclass

NAMESPACE = "urn:onestack:server:1"
TAG = f"{{{NAMESPACE}}}server"
ALIAS = "ua-"
ET.register_namespace("onestack", NAMESPACE)


@dataclass(frozen=True)
class Shape:
    """What a domain's XML says."""

    cloud: str  # "": not a domain of any of our clouds
    mark: str
    nics: dict[str, str]  # port id → tap
    vnc_socket: str
    serial_socket: str


def read(xml: str) -> Shape:
    """`xml`: what virDomainGetXMLDesc returned."""
    root = ET.fromstring(xml)  # noqa: S314
    owner = root.find(f"metadata/{TAG}")
    nics = {}
    for interface in root.iterfind("devices/interface"):
        alias, target = interface.find("alias"), interface.find("target")
        if alias is not None and target is not None and alias.get("name", "").startswith(ALIAS):
            nics[alias.get("name", "").removeprefix(ALIAS)] = target.get("dev", "")
    listen = root.find("devices/graphics[@type='vnc']/listen[@type='socket']")
    serial = root.find("devices/serial[@type='unix']/source")
    return Shape(
        cloud="" if owner is None else owner.get("cloud", ""),
        mark="" if owner is None else owner.get("operation", ""),
        nics=nics,
        vnc_socket="" if listen is None else listen.get("socket", ""),
        serial_socket="" if serial is None else serial.get("path", ""),
    )


def interface(xml: str, port_id: str) -> str:
    """The XML of one port's interface in a domain's XML; empty if the domain has none."""
    for element in ET.fromstring(xml).iterfind("devices/interface"):  # noqa: S314
        alias = element.find("alias")
        if alias is not None and alias.get("name") == ALIAS + port_id:
            return ET.tostring(element, encoding="unicode")
    return ""
