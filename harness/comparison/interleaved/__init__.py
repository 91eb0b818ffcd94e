"""Cases measured side by side: their processes live at once and take turns on the same CPUs."""

# The number of what an environment's processes are asked and answer: those of another number
# are not understood.
PROTOCOL = 1
