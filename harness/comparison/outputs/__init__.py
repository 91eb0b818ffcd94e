"""A comparison in the formats that other tools read."""
