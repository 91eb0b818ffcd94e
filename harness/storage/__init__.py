"""Keeps files: the cache, its locks and eviction, the remote store, downloads."""
