"""Runs jobs on several machines of a Ray cluster, with the same records as here."""
