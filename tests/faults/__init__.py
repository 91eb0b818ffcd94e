"""What goes wrong from outside: kills, full disks, set clocks, other runs, bad runtimes."""
