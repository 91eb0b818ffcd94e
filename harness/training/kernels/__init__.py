"""Computes on a CPU, faster than torch does, what a step of training takes most time for."""
