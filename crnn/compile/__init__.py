"""ONNX to OM: what ATC is given, what it must not be given, and ATC itself."""
