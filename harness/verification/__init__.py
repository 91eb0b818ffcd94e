"""Data sets, alignment, embedding extraction, protocols and metrics."""
