"""Trains networks: data, losses, recipes, the loop."""
