"""Write the info file of a folder of bins or JPEGs:

python get_info.py bin DIR OUT.info W H; --help has more.
"""

import sys

from crnn.cli.scripts import get_info

if __name__ == "__main__":
    sys.exit(get_info())
