"""The real engine: OVN. `OvnDriver` makes its northbound database say what the service's tables say.

`rows` and its neighbours turn descriptions into database rows, `plan` compares them with what is there, `northbound`
reads and writes, `southbound` reports what the hosts do, `ovsdb` speaks the protocol.
"""

from onestack.network.drivers.ovn.driver import OvnDriver

__all__ = ["OvnDriver"]
