"""Faces to train on: read where they lie, cleaned, and dealt out in batches."""
