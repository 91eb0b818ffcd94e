"""Graph work before TVM's own passes: fusion and the layout of maps."""
