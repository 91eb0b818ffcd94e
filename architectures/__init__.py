"""Builds face-verification networks: no input or output, no measuring.

The package itself is cheap to import: torch is loaded by the modules that
define networks, the first time one is looked up.
"""
