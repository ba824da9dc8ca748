"""`python -m deepcanon` is the command `deepcanon`."""

import sys

from deepcanon.cli import main

sys.exit(main())
