"""What units of the last map see, and how the global operator weighs them."""
