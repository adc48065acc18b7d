"""OneStack: the OpenStack APIs, real virtual machines and real networks in one program."""

__version__ = "0.1.0"
