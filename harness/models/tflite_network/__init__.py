"""Reads a user's TFLite file as an ONNX graph."""
