"""Networks: Neutron's API, on an engine that moves the packets."""
