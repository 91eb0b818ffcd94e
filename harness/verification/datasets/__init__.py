"""Holds what verification is scored on: one file a dataset, one protocol."""
