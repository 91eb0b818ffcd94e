"""Weights on the disk by Deep Compression: pruned, shared, and coded."""
