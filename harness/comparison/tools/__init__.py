"""Reads JSON that other benchmarking tools write: one file a tool."""
