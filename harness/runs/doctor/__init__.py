"""Finds what facebench has on this machine, what it lacks for what, and what mends that."""
