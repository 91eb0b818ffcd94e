"""Intervals, ratios, drift, modes and change points: numerics on arrays, and nothing else."""
