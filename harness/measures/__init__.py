"""What can be obtained of a network: one file a measure."""
