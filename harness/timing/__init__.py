"""Samples latency, and the peak rates of the machine."""
