"""What the tests of every reader need: bytes in, items out, and the promises that all keep."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import structs

from bioretrieval_tui.documents.detect import Format, items
from bioretrieval_tui.documents.document import Document, Item, Record, Rejected
from bioretrieval_tui.documents.source import ReadSettings, SourceReader

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "importer-samples"


@contextmanager
def file_of(data: bytes) -> Iterator[Path]:
    """A file with this content, for tests in which hypothesis makes hundreds of them."""
    handle, name = tempfile.mkstemp()
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        yield Path(name)
    finally:
        Path(name).unlink()


def read(data: bytes | str, format_: Format, **mapping: str) -> list[Item]:
    with file_of(data.encode() if isinstance(data, str) else data) as path:
        return read_path(path, format_, **mapping)


def read_path(path: Path, format_: Format, **mapping: str) -> list[Item]:
    with SourceReader(path) as source:
        return list(items(source, format_, ReadSettings(mapping=mapping)))


def documents(found: list[Item]) -> list[Document]:
    return [item.document for item in found if isinstance(item, Record)]


def rejected(found: list[Item]) -> list[Rejected]:
    return [item for item in found if isinstance(item, Rejected)]


class SmallBlocks(SourceReader):
    """A source that hands its content on in pieces of one size, however awkward."""

    block = 1

    def blocks(self, size: int = 1) -> Iterator[bytes]:
        for whole in super().blocks():
            for at in range(0, len(whole), self.block):
                yield whole[at : at + self.block]


def read_in_blocks(data: bytes, format_: Format, block: int, **mapping: str) -> list[Item]:
    with file_of(data) as path, SmallBlocks(path) as source:
        source.block = block
        return [
            _nameless(item, path) for item in items(source, format_, ReadSettings(mapping=mapping))
        ]


def read_nameless(data: bytes, format_: Format, **mapping: str) -> list[Item]:
    with file_of(data) as path:
        return [_nameless(item, path) for item in read_path(path, format_, **mapping)]


def _nameless(item: Item, path: Path) -> Item:
    assert item.place.file == str(path)
    return structs.replace(item, place=structs.replace(item.place, file="f"))


def promises_kept(found: list[Item], *, empty: bool = False) -> None:
    """What holds for every item, whatever the file was. empty: a document may be, as in BEIR."""
    for item in found:
        if isinstance(item, Rejected):
            assert item.reason
            assert "\n" not in str(item)
        elif isinstance(item, Record):
            assert item.document.id.strip()
            assert empty or item.document.title.strip() or item.document.text.strip()
            assert "\0" not in item.document.id + item.document.title + item.document.text
            item.document.title.encode()
            item.document.text.encode()
