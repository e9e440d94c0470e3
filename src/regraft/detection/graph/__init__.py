"""A detector as one torch module, and as an ONNX graph."""
