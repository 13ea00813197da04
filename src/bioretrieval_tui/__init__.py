"""bioretrieval-tui: biomedical text retrieval in a terminal, and from Python.

`bioretrieval_tui.api` describes the Python interface, whose names are offered here.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioretrieval_tui.api import Index as Index
    from bioretrieval_tui.api import TextEncoder as TextEncoder
    from bioretrieval_tui.api import build as build
    from bioretrieval_tui.api import catalogue as catalogue
    from bioretrieval_tui.api import compare as compare
    from bioretrieval_tui.api import encoder as encoder
    from bioretrieval_tui.api import entries as entries
    from bioretrieval_tui.api import evaluate as evaluate
    from bioretrieval_tui.api import frame as frame
    from bioretrieval_tui.api import indexes as indexes
    from bioretrieval_tui.api import results as results
    from bioretrieval_tui.documents.document import Document as Document
    from bioretrieval_tui.errors import BioRetrievalError as BioRetrievalError

__version__ = "0.1.0"
__all__ = [  # noqa: RUF022 - in the order of a reader's questions
    "catalogue", "entries", "results", "frame", "encoder", "TextEncoder", "Index", "indexes",
    "build", "evaluate", "compare", "Document", "BioRetrievalError",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """The public names, imported when one is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'bioretrieval_tui' has no attribute {name!r}")
    from importlib import import_module

    place = {"Document": "documents.document", "BioRetrievalError": "errors"}.get(name, "api")
    return getattr(import_module(f"bioretrieval_tui.{place}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
