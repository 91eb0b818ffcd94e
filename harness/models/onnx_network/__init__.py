"""An ONNX file of a user as a network: its graph, read, wrapped and evaluated as it is."""
