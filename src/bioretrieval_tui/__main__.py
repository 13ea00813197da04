"""`python -m bioretrieval_tui` is the command itself."""

from bioretrieval_tui.cli.main import run

if __name__ == "__main__":
    run()
