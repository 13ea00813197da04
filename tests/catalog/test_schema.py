"""The JSON Schema for editors: current, true of our own files, and strict where loading is."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bioretrieval_tui.catalog import loader
from bioretrieval_tui.catalog.loader import parse, read_folder
from bioretrieval_tui.catalog.models import LISTS, SECTIONS
from bioretrieval_tui.errors import CatalogueError

DATA = Path(__file__).resolve().parents[2] / "data"
FILES = sorted(DATA.glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    written = json.loads((DATA / loader.SCHEMA_FILE).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(written)
    return jsonschema.Draft202012Validator(written)


def faults(validator: jsonschema.Draft202012Validator, document: object) -> list[str]:
    return [error.message for error in validator.iter_errors(document)]


def test_the_file_is_what_the_types_say(tmp_path: Path) -> None:
    assert loader.main(["--schema", str(tmp_path)]) == 0
    made = (tmp_path / loader.SCHEMA_FILE).read_text(encoding="utf-8")
    assert made == (DATA / loader.SCHEMA_FILE).read_text(encoding="utf-8"), (
        "run: python -m bioretrieval_tui.catalog.loader --schema data"
    )


def test_every_section_and_every_field_is_described() -> None:
    made = loader.schema()
    assert set(made["properties"]) == {"version", "updated", "include", *SECTIONS, *LISTS}
    for kind in (*SECTIONS.values(), *LISTS.values()):
        part = made["$defs"][kind.__name__]
        assert set(part["properties"]) == set(kind.__struct_fields__) - {"extra"}
        assert part["additionalProperties"] is False


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_our_own_files_fit(path: Path, validator: jsonschema.Draft202012Validator) -> None:
    document = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    assert faults(validator, document) == []


ENTRY: dict[str, Any] = {
    "id": "alpha",
    "name": "Alpha",
    "role": "retriever",
    "summary": "A model.",
    "sources": ["card"],
    "links": [{"label": "arXiv", "url": "https://arxiv.org/abs/2001.00001", "type": "arxiv"}],
    "encoding": {"type": "bi-encoder", "grade": "A", "document": {"pair": ["{title}", "{text}"]}},
}

WRONG: list[tuple[str, tuple[Any, ...], Any]] = [
    ("unknown key", ("parms",), 1),
    ("kind is not written", ("kind",), "model"),
    ("missing", ("role",), None),
    ("enum", ("role",), "chief"),
    ("type", ("params",), "many"),
    ("negative", ("params",), -1),
    ("id", ("id",), "Alpha One"),
    ("no sources", ("sources",), []),
    ("javascript", ("links", 0, "url"), "javascript:alert(1)"),
    ("ftp", ("links", 0, "url"), "ftp://example.org/x"),
    ("a space in an address", ("links", 0, "url"), "https://example.org/a b"),
    ("unknown key in a link", ("links", 0, "tpye"), "x"),
    ("a pair of three", ("encoding", "document", "pair"), ["a", "b", "c"]),
    ("status", ("statuses",), {"params": "guessed"}),
]


def test_the_sample_entry_fits(validator: jsonschema.Draft202012Validator) -> None:
    assert faults(validator, {"models": [ENTRY]}) == []


@pytest.mark.parametrize(("where", "value"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_editors_and_loading_refuse_the_same(
    where: tuple[Any, ...], value: Any, validator: jsonschema.Draft202012Validator, folder: Path
) -> None:
    entry = copy.deepcopy(ENTRY)
    place: Any = entry
    for key in where[:-1]:
        place = place[key]
    if value is None:
        del place[where[-1]]
    else:
        place[where[-1]] = value

    assert faults(validator, {"models": [entry]})

    sources = [{"id": "card", "text": "A card"}]
    written = json.dumps({"sources": sources, "models": [entry]})  # JSON is YAML
    (folder / "all.yaml").write_text(written)
    with pytest.raises(CatalogueError):
        parse(read_folder(folder))


@pytest.mark.parametrize(
    "document",
    [{"modles": []}, {"version": 2}, {"models": {}}, [], {"include": "all.yaml"}],
    ids=["section", "version", "no list", "top level", "include"],
)
def test_the_top_level_is_strict(
    document: object, validator: jsonschema.Draft202012Validator
) -> None:
    assert faults(validator, document)
