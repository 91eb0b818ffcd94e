"""Where a session runs: this machine, a board, an emulator."""
