"""Documents: how they are read from files and how they are kept. Knows no model and no index."""
