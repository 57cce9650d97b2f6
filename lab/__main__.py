"""``python -m lab``: the same use cases as the pages."""

import sys

from lab.cli.main import main

sys.exit(main())
