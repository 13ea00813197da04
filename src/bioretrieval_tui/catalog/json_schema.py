"""The JSON Schema of catalogue files: `python -m bioretrieval_tui.catalog.json_schema data`.

Derived from the types that loading checks; `data/catalog.schema.json` is its output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from bioretrieval_tui.catalog import fields
from bioretrieval_tui.catalog.models import FORMAT_VERSION, LISTS, SECTIONS

FILE_NAME = "catalog.schema.json"


def schema() -> dict[str, Any]:
    """The schema of one catalogue file, any sections of it, as plain JSON values."""
    sections = {**SECTIONS, **LISTS}
    _, components = msgspec.json.schema_components(
        list(sections.values()), ref_template="#/$defs/{name}"
    )
    written = {"text": "string", "number": "number", "bool": "boolean", "set": "array"}
    for entry in SECTIONS.values():
        part = components[entry.__name__]
        # The section implies the kind; `extra` holds the fields that follow.
        del part["properties"]["kind"], part["properties"]["extra"]
        for name, kind in fields.TABLE.declared_only(str(entry.__struct_config__.tag)).items():
            part["properties"][name] = {"type": written[kind]}
        part["required"] = [name for name in part.get("required", []) if name != "kind"]
    properties: dict[str, Any] = {
        "version": {"const": FORMAT_VERSION},
        "updated": {"type": "string", "description": "day of the last change, YYYY-MM-DD"},
        "include": {"type": "array", "items": {"type": "string"}},
    }
    for name, part_type in sections.items():
        properties[name] = {"type": "array", "items": {"$ref": f"#/$defs/{part_type.__name__}"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bioretrieval-tui catalogue file",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "$defs": components,
    }


def text() -> str:
    """The schema as it stands in the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write the schema into the folder given (`data` by default)."""
    folder = Path(arguments[0] if arguments else "data")
    (folder / FILE_NAME).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
