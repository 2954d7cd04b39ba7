"""Write a checkpoint as ONNX: python pth2onnx.py IN.pth OUT.onnx; --help has the options."""

import sys

try:
    from crnn.interpreter import KIT, prefer, require
except ImportError:
    sys.stderr.write(__file__ + ": not beside the folder crnn: call it where its checkout is\n")
    sys.exit(4)

if __name__ == "__main__":
    require(KIT, "pth2onnx.py")
    prefer(["torch", "onnx", "onnxruntime"])
    from crnn.cli.scripts import pth2onnx

    sys.exit(pth2onnx())
