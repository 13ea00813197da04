"""Reader of Europe PMC's search results in XML (`format=xml`, best with `resultType=core`): the
records of the JSON in other brackets, so they are read as those."""

from __future__ import annotations

import re
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.documents.readers.json_corpora import EUROPEPMC
from bioretrieval_tui.documents.readers.xml_records import local, plain_text, shows, xml_records
from bioretrieval_tui.documents.source import Format

if TYPE_CHECKING:
    from lxml.etree import _Element

_SIGNS = (
    re.compile(rb"<responseWrapper[\s>]|www\.ebi\.ac\.uk/europepmc"),
    re.compile(rb"<resultList[\s>]"),
)


def _document(result: _Element) -> Document | str:
    return EUROPEPMC.document(_object(result))


def _object(element: _Element) -> Any:
    """An element as JSON has it: its text, or an object of its children, those of one name as a
    list."""
    if not len(element):
        return element.text or ""
    texts = chain([element.text], (child.tail for child in element))
    if any(text and text.strip() for text in texts):  # markup within a text
        return plain_text(element)
    found: dict[str, Any] = {}
    for child in element:
        found.setdefault(local(child), []).append(_object(child))
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


_CUT = partial(xml_records, names=("result",))
EUROPEPMC_XML = Format("europepmc-xml", (".xml",), partial(shows, _SIGNS), _CUT, _document)
