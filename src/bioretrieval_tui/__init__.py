"""bioretrieval-tui: biomedical text retrieval in a terminal."""

__version__ = "0.1.0"
