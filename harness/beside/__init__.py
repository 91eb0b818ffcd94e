"""Cases measured side by side: their processes live at once and take turns on the same CPUs."""
