"""Builds, counts, exports, compiles, measures and verifies networks."""
