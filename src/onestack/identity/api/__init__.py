"""Handlers of the Identity API, one module a noun."""
