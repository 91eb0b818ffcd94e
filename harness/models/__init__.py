"""From a network's name and weights to what can be counted, exported and quantized."""
