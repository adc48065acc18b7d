"""The composition root: which services there are, on which ports, with which drivers."""
