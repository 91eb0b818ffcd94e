"""Simulates how a core's pipeline executes a block of A64 code: decoding, dependencies, units."""
