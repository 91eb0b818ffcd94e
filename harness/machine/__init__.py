"""What this computer is and does: its cores, load, heat, memory, clocks and child processes."""
