"""Weights to an ONNX file that is proven to compute what they compute."""
