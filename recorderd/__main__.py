"""`python -m recorderd`, and what the installed command `recorderd` calls."""

from __future__ import annotations

import sys

from recorderd.cli import main

if __name__ == "__main__":
    sys.exit(main())
