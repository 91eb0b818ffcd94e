"""Cases measured side by side: their processes live at once and take turns on the same CPUs."""

# Of what is asked of a place's processes, and what they answer: places of another number
# are not understood.
PROTOCOL = 1
