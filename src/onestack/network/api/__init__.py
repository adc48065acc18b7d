"""Handlers, one module a noun. Each returns what `views` renders."""
