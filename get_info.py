"""Write the info file of a folder of bins or JPEGs:

python get_info.py bin DIR OUT.info W H; --help has more.
"""

import sys

from crnn.interpreter import prefer

if __name__ == "__main__":
    if sys.argv[1:2] == ["jpg"]:
        prefer(["PIL"])
    from crnn.cli.scripts import get_info

    sys.exit(get_info())
