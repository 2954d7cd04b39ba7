"""Write a checkpoint as ONNX: python pth2onnx.py IN.pth OUT.onnx; --help has the options."""

import sys

from crnn.interpreter import KIT, prefer, require

if __name__ == "__main__":
    require(KIT, "pth2onnx.py")
    prefer(["torch", "onnx", "onnxruntime"])
    from crnn.cli.scripts import pth2onnx

    sys.exit(pth2onnx())
