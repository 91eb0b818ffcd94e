"""Which face-verification network to put on a phone, and the proof."""
