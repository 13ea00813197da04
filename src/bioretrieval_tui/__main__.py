"""`python -m bioretrieval_tui` is the command itself."""

import sys

from bioretrieval_tui.main import run

if __name__ == "__main__":
    sys.exit(run())
