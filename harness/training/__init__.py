"""Training of networks: data, losses, recipes, the loop."""
