"""The recipe that a sentence-transformers folder brings along, for models that no catalogue knows.

Its modules say how it pools, and its settings what stands before a text. A folder without them
says too little: how it encodes would be a guess.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bioretrieval_tui.catalog.models import Encoding, Side, Similarity

_SIMILARITIES: dict[str, Similarity] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}


def recipe_of_folder(folder: Path) -> Encoding | None:
    """What the folder's own files say, or None where they do not say how it pools."""
    if not (folder / "modules.json").is_file():
        return None
    settings = _table(folder / "config_sentence_transformers.json")
    length = _table(folder / "sentence_bert_config.json").get("max_seq_length")
    longest = length if isinstance(length, int) and length > 0 else None
    named = str(settings.get("similarity_fn_name") or "cosine")
    if named not in _SIMILARITIES:
        return None
    prompts = settings.get("prompts")
    prompts = prompts if isinstance(prompts, dict) else {}
    query, document = _prompt(prompts, "query"), _prompt(prompts, "document", "passage")
    return Encoding(
        type="bi-encoder",
        grade="A",
        library="sentence-transformers",
        query=Side(template=query + "{query}", max_length=longest),
        document=Side(template=document + "{title} {text}", max_length=longest),
        similarity=_SIMILARITIES[named],
    )


def _prompt(prompts: dict[Any, Any], *names: str) -> str:
    """The first prompt of these names, as a template's literal text."""
    found = next((prompts[name] for name in names if isinstance(prompts.get(name), str)), "")
    return str(found).replace("{", "{{").replace("}", "}}")


def _table(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
