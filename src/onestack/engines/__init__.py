"""Starting, stopping and looking at the engines: libvirt, Open vSwitch, OVN, and the bridge to the outside.

Each engine's module has the same three words: `ensure_running(…)`, `stop(…)`, `look(…) -> Health`. Only the standard
library is used here, so that the supervisor stays small.

Whose they are: libvirtd, virtlogd and Open vSwitch are the machine's (one of each, shared by every cloud on it);
OVN's databases, ovn-northd and ovn-controller are one cloud's own, with sockets in `<state>/run`.
"""
