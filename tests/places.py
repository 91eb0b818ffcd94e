"""Where tests find the checkout that they are of."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
