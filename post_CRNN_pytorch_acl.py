"""Evaluate the bins of parse_testdata.py with an .om or .onnx and write the accuracy JSON; --help
has the options.
"""

import sys

from crnn.interpreter import of_model, prefer

if __name__ == "__main__":
    prefer(of_model(sys.argv))
    from crnn.cli.scripts import post_processing

    sys.exit(post_processing())
