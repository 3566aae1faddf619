"""``python -m kmsbridge.cli``: the command where the console script is not on the path."""

import sys

from kmsbridge.cli import main

sys.exit(main())
