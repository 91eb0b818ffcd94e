"""Everything that prints to a terminal."""
