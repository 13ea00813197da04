"""`python -m bioretrieval_tui` runs the command."""

import sys

from bioretrieval_tui.main import run

if __name__ == "__main__":
    sys.exit(run())
