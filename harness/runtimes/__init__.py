"""Inference runtimes, and sessions: one artifact open in one runtime."""
