"""What runs on a hypervisor: it makes the host be as the server says, and tells the server how it is.

Imports config and wire (and the engines' paths), nothing else of the project: a host has no database and no password
of a service. docs/agent.md explains the life of a spec.
"""
