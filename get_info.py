"""Write the info file of a folder of bins or JPEGs:

python get_info.py bin DIR OUT.info W H; --help has more.
"""

import sys

try:
    from crnn.interpreter import prefer
except ImportError:
    sys.stderr.write(__file__ + ": not beside the folder crnn: call it where its checkout is\n")
    sys.exit(4)

if __name__ == "__main__":
    if sys.argv[1:2] == ["jpg"]:
        prefer(["PIL"])
    from crnn.cli.scripts import get_info

    sys.exit(get_info())
