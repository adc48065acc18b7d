"""Graphical and serial consoles: tokens, the proxy at 6080, and the agents' streams that it is joined to."""
