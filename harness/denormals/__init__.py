"""Denormal numbers: how many a network holds and computes, and what they cost."""
