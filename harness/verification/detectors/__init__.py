"""Finds a face and its landmarks: one file a detector, one registry."""
