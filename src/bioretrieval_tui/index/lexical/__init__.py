"""The lexical half of an index: analysis, sorted runs, their merge, and BM25 over the result."""
