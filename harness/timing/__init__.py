"""Sampling latency, and the peak rates of the machine."""
