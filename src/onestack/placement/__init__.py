"""Placement: what each provider has, who uses how much of it, and where something would fit."""
