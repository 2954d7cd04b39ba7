"""Runners: one contract over ONNX Runtime, PyTorch and pyACL."""
