"""Evaluate the bins of parse_testdata.py with an .om or .onnx and write the accuracy JSON; --help
has the options.
"""

import sys

from crnn.cli.scripts import post_processing

if __name__ == "__main__":
    sys.exit(post_processing())
