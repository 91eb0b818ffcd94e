"""Counts what an inference of an ONNX graph costs, by the conventions of `models.tally`."""
