"""Keystone: who somebody is, what they may do and where the services are (Identity API v3.14)."""
