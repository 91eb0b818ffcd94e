"""What can be obtained for a network: one file a measure, one protocol."""
