"""Several machines: the same jobs on a Ray cluster, with the same records."""
