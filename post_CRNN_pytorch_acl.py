"""Evaluate the bins of parse_testdata.py with an .om or .onnx and write the accuracy JSON; --help
has the options.
"""

import sys

try:
    from crnn.interpreter import of_model, prefer
except ImportError:
    sys.stderr.write(__file__ + ": not beside the folder crnn: call it where its checkout is\n")
    sys.exit(4)

if __name__ == "__main__":
    prefer(of_model(sys.argv))
    from crnn.cli.scripts import post_processing

    sys.exit(post_processing())
