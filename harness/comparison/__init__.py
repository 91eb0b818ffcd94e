"""Says whether B is slower, larger or less accurate than A."""
