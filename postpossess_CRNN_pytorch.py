"""Score the results of benchmark or ais_bench: python postpossess_CRNN_pytorch.py RESULT label.txt;
--help has the options.
"""

import sys

try:
    from crnn.interpreter import prefer
except ImportError:
    sys.stderr.write(__file__ + ": not beside the folder crnn: call it where its checkout is\n")
    sys.exit(4)

if __name__ == "__main__":
    prefer(["numpy"])
    from crnn.cli.scripts import postpossess

    sys.exit(postpossess())
