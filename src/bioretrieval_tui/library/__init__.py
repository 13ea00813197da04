"""The reader's own marks, in one SQLite file of the data folder."""
