"""``python -m lab``: the same use cases as the pages."""

import sys

from lab.cli.main import main

if __name__ == "__main__":  # worker processes import this file again
    sys.exit(main())
