"""The filter language: one for the app and for `-w`, over any rows with fields.

Words, "phrases", field:value, field>=value, -term, OR and parentheses: see docs/filter.md.
"""

from bioretrieval_tui.query.ast import Node as Node
from bioretrieval_tui.query.matcher import Filter as Filter
from bioretrieval_tui.query.matcher import Row as Row
from bioretrieval_tui.query.parser import UnfinishedFilterError as UnfinishedFilterError
from bioretrieval_tui.query.parser import parse as parse
from bioretrieval_tui.query.schema import Field as Field
from bioretrieval_tui.query.schema import Schema as Schema
