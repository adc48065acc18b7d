"""Guest images made on this machine from Debian's packages.

`mini.build` makes `onestack-mini`, a Linux of some 26 MB that boots within seconds even without KVM and behaves
like CirrOS towards the cloud; `debian.build` makes a full Debian 12 with the real cloud-init. Both give a qcow2
file with a BIOS boot sector. `python -m onestack.guest --help` is the same from a shell.
"""

from __future__ import annotations

from onestack.guest.tools import GuestError, Progress

__all__ = ["GuestError", "Progress"]
