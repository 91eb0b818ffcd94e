"""Makes networks of names and weights; counts, exports and quantizes them."""
