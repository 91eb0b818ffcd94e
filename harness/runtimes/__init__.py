"""What executes an artifact: one file a runtime, one protocol."""
