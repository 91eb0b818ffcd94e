"""Files that are kept: the cache, its locks and eviction, the remote store, downloads."""
