"""The fields of an index's documents: columns that filters, facets and dates are answered from."""
