"""The catalogue: typed entries, loading and validation, overlays, the filter language."""
