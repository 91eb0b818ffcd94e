"""A stand: one artifact open in one runtime, to be asked for embeddings and figures."""
