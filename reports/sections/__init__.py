"""Holds the sections of the report, one file each."""
