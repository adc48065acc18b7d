"""Handlers of the Image API."""
