"""Holds data sets, alignment, embedding extraction, protocols and metrics."""
