"""Neutron's exceptions: `type` and words, as clients see them."""

from __future__ import annotations

from typing import Any

from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden, NotFound


def bad_request(message: str) -> Fault:
    return BadRequest(message, kind="HTTPBadRequest")


def invalid_input(message: str) -> Fault:
    return BadRequest(f"Invalid input for operation: {message}.", kind="InvalidInput")


def bad_resource(resource: str, message: str) -> Fault:
    """Neutron's generic BadRequest, which names the kind of object."""
    return BadRequest(f"Bad {resource} request: {message}.", kind="BadRequest")


def conflict(kind: str, message: str) -> Fault:
    return Conflict(message, kind=kind)


def bad(kind: str, message: str) -> Fault:
    return BadRequest(message, kind=kind)


def denied(rule: str) -> Fault:
    """`rule` as policy writes it: "rule:create_port"."""
    return Forbidden(f"{rule} is disallowed by policy", kind="PolicyNotAuthorized")


_NOT_FOUND = {
    "network": ("NetworkNotFound", "Network {} could not be found."),
    "subnet": ("SubnetNotFound", "Subnet {} could not be found."),
    "port": ("PortNotFound", "Port {} could not be found."),
    "router": ("RouterNotFound", "Router {} could not be found"),
    "floatingip": ("FloatingIPNotFound", "Floating IP {} could not be found"),
    "security_group": ("SecurityGroupNotFound", "Security group {} does not exist"),
    "security_group_rule": ("SecurityGroupRuleNotFound", "Security group rule {} does not exist"),
    "agent": ("AgentNotFound", "Agent {} could not be found."),
}


def not_found(resource: str, identifier: Any) -> Fault:
    kind, words = _NOT_FOUND.get(resource, ("ObjectNotFound", "Object {} not found."))
    return NotFound(words.format(identifier), kind=kind)


def over_quota(resources: list[str]) -> Fault:
    return Conflict(f"Quota exceeded for resources: {resources}.", kind="OverQuota")


def address_in_use(subnet_id: str, address: str) -> Fault:
    return Conflict(f"IP address {address} already allocated in subnet {subnet_id}", kind="IpAddressAlreadyAllocated")


def exhausted(network_id: str) -> Fault:
    return Conflict(f"No more IP addresses available on network {network_id}.", kind="IpAddressGenerationFailure")


def network_in_use(network_id: str, ports: list[str]) -> Fault:
    return Conflict(
        f"Unable to complete operation on network {network_id}. "
        f"There are one or more ports still in use on the network, id for these ports is: {','.join(ports)}.",
        kind="NetworkInUse",
    )
