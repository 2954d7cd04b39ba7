"""Write a checkpoint as ONNX: python pth2onnx.py IN.pth OUT.onnx; --help has the options."""

import sys

from crnn.cli.scripts import pth2onnx

if __name__ == "__main__":
    sys.exit(pth2onnx())
