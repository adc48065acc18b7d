"""Nova's rules of consoles, and their defaults."""

from __future__ import annotations

from onestack.compute.policies import ADMIN, MEMBER

POLICIES: dict[str, str] = {
    "os_compute_api:os-remote-consoles": MEMBER,
    "os_compute_api:os-console-auth-tokens": ADMIN,
}
