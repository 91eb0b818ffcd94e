"""Writes a network as the file that LiteRT reads, from its ONNX graph."""
