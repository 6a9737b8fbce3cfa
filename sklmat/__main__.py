"""``python -m sklmat`` is the command line."""

import sys

from sklmat.cli import main

sys.exit(main())
