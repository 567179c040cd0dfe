"""Say in one sentence that this Python is too old. Runs on any Python 3, so that the sentence can be read."""

import sys

NEEDED = (3, 11)

if sys.version_info < NEEDED:
    sys.exit(
        "The book needs Python %d.%d or newer; this is %d.%d. Install a newer one, or name it: "
        "make PYTHON=/path/to/python%d.%d" % (NEEDED + tuple(sys.version_info[:2]) + NEEDED)
    )
