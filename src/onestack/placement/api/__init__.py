"""Handlers of the Placement API."""
