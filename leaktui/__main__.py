"""`python -m leaktui`."""

import sys

from leaktui.cli import main

if __name__ == "__main__":
    sys.exit(main())
