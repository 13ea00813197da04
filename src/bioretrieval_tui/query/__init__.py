"""The filter language: one for the app and for `-w`, over any rows with fields.

Words, "phrases", field:value, field>=value, -term, OR and parentheses: see docs/filter.md.
"""

from bioretrieval_tui.query.evaluate import Filter, Row
from bioretrieval_tui.query.fields import Field, FieldType, Schema
from bioretrieval_tui.query.folding import fold, marks
from bioretrieval_tui.query.nodes import Node
from bioretrieval_tui.query.syntax import UnfinishedFilterError, parse

__all__ = [
    "Field",
    "FieldType",
    "Filter",
    "Node",
    "Row",
    "Schema",
    "UnfinishedFilterError",
    "fold",
    "marks",
    "parse",
]
