"""The filter language: one for the app and for `-w`, over any rows with fields.

Words, "phrases", field:value, field>=value, -term, OR and parentheses: see docs/filter.md.
"""

from bioretrieval_tui.query.ast import Node
from bioretrieval_tui.query.matcher import Filter, Row
from bioretrieval_tui.query.parser import UnfinishedFilterError, parse
from bioretrieval_tui.query.schema import Field, FieldType, Schema
from bioretrieval_tui.util.folding import fold, marks

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
