"""Sampling latency, and the statistics of the samples."""
