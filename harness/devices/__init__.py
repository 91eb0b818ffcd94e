"""Where a runtime runs: one file a device, one protocol."""
