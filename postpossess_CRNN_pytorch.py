"""Score the results of benchmark or ais_bench: python postpossess_CRNN_pytorch.py RESULT label.txt;
--help has the options.
"""

import sys

from crnn.interpreter import prefer

if __name__ == "__main__":
    prefer(["numpy"])
    from crnn.cli.scripts import postpossess

    sys.exit(postpossess())
