"""The vectors that ship with the catalogue: of every entry, right, and refused where damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bioretrieval_tui.catalog.compiled import data_folder, load
from bioretrieval_tui.encoding import embedded, openvino_encoder
from bioretrieval_tui.encoding.encoder_registry import load_encoder
from bioretrieval_tui.encoding.recipe import parts_of
from bioretrieval_tui.encoding.shipped_vectors import FILE, read_shipped
from bioretrieval_tui.errors import ModelError
from bioretrieval_tui.search.catalogue_index import catalogue_documents

SHIPPED = data_folder() / FILE


PART = parts_of(embedded.MODEL_ID, embedded.RECIPE)[0]


def test_every_entry_has_its_vector() -> None:
    found, documents = read_shipped(), catalogue_documents(load().catalogue)
    missing = [one.id for one in documents if one.content_hash() not in found.places]
    assert missing == [], "run: make vectors"
    assert len(found.places) == len({one.content_hash() for one in documents})


def test_the_vectors_are_those_of_the_model() -> None:
    documents = catalogue_documents(load().catalogue)[::40]
    digests = [one.content_hash() for one in documents]
    found = read_shipped().find([*digests, b"\0" * 16])
    assert list(found) == digests
    shipped = np.stack([found[one][0] for one in digests]).astype(np.float32)
    cut: list[int] = []
    own = load_encoder().encode_documents(documents, longer=cut)
    assert (shipped * own).sum(axis=1).min() > 0.9995
    assert [found[one][1] for one in digests] == [n in cut for n in range(len(documents))]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-1], "is damaged: its checksum differs"),
        (lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "its checksum differs"),
        (lambda data: data.replace(b'"format":1', b'"format":2', 1), "another revision or recipe"),
        (lambda data: data.replace(embedded.REVISION.encode(), b"f" * 40, 1), "another revision"),
        (lambda data: data.replace(b'"rows":', b'"rows":9', 1), "is damaged"),
        (lambda _: b"not a header\n" + b"\0" * 99, "is not a file of vectors"),
        (lambda _: b"", "is not a file of vectors"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    path = tmp_path / FILE
    path.write_bytes(change(SHIPPED.read_bytes()))
    with pytest.raises(ModelError, match=said) as caught:
        read_shipped(path)
    assert "reinstall bioretrieval-tui" in (caught.value.remedy or "")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read_shipped(tmp_path / FILE)


def test_the_embedded_model_is_prepared_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_encoder, "load_modules", None)
    note = openvino_encoder.find_or_prepare(PART, None, lambda _: None)
    assert note is not None
    assert note.worst > 0.999999  # the tests compute in float32
    assert (note.dimension, note.query_length) == (embedded.DIMENSION, embedded.MOST_TOKENS)


def test_without_the_file_it_is_converted_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*_: object) -> None:
        calls.append("torch")
        raise openvino_encoder.ConversionRefused("enough")

    monkeypatch.setattr(openvino_encoder, "shipped", lambda: None)
    monkeypatch.setattr(openvino_encoder, "load_modules", refuse)
    assert openvino_encoder.find_or_prepare(PART, None, lambda _: None) is None
    assert calls == ["torch"]
