"""Handlers, one module for each noun."""
