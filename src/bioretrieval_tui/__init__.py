"""bioretrieval-tui: the field of biomedical text retrieval in a terminal."""

__version__ = "0.1.0"
