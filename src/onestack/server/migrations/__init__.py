"""Numbered migrations of the schema (Alembic). `make.py` writes a new one from what changed in the models."""
