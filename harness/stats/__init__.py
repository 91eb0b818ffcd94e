"""Computes intervals, ratios, drift, modes and change points: numerics on arrays, no more."""
