"""Which face-verification network to put on a phone, and the proof."""

import os

# Builds of onnxruntime report its use to its maker, and keep a number of this machine in the
# user's folder, unless this is set before they are loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
