"""Losses by which networks learn to tell people apart: one file each."""
