"""`python -m lossmith`."""

import sys

from lossmith.cli.main import main

sys.exit(main())
