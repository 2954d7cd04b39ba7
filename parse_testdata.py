"""Turn an LMDB into bins and label.txt:

python parse_testdata.py [LMDB [OUT_DIR]]; --help has the options.
"""

import sys

try:
    from crnn.interpreter import prefer
except ImportError:
    sys.stderr.write(__file__ + ": not beside the folder crnn: call it where its checkout is\n")
    sys.exit(4)

# Used where the command line does not say.
test_dir = "./IIIT5K_lmdb"
output_bin = "./input_bin"

if __name__ == "__main__":
    prefer(["numpy", "PIL", "lmdb"])
    from crnn.cli.verbs.prepare import parse_testdata

    sys.exit(parse_testdata(test_dir, output_bin))
