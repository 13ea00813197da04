"""The vectors that ship with the catalogue: `python scripts/vectors.py` writes data/vectors.bin.

Run it (`make vectors`) after a change of an entry's name, title, summary or notes. All vectors are
computed by sentence-transformers in float32, so the same catalogue gives the same file on machines
whose torch computes alike. `encoding/shipped_vectors.py` reads the file and describes it.
"""

from __future__ import annotations

import os
import sys
import tempfile

import numpy as np

from bioretrieval_tui.catalog.compiled import data_folder, load
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder import Encoder
from bioretrieval_tui.encoding.model_files import ModelFiles
from bioretrieval_tui.encoding.openvino_encoder import references
from bioretrieval_tui.encoding.shipped_vectors import FILE, encode_shipped
from bioretrieval_tui.encoding.torch_encoder import load_torch_engine
from bioretrieval_tui.encoding.torch_modules import load_modules, shape_of
from bioretrieval_tui.paths import write_atomically
from bioretrieval_tui.search.catalogue_index import catalogue_documents


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        os.environ["BIORETRIEVAL_HOME"] = home  # without overlays and fetched abstracts
        listed = catalogue_documents(load().catalogue)
    files = ModelFiles(embedded.verify(), embedded.REVISION)
    name, recipe = embedded.MODEL_ID, embedded.RECIPE
    modules = load_modules(name, files, recipe)
    checks = references(modules, shape_of(name, modules, recipe), recipe)
    engine = load_torch_engine(name, files, recipe, "cpu")
    encoder = Encoder(name, files.revision, recipe, lambda _: engine)
    documents = {one.content_hash(): one for one in listed}
    longer: list[int] = []
    vectors = encoder.encode_documents(list(documents.values()), longer=longer)
    flags = np.isin(np.arange(len(documents)), longer).tolist()
    path = data_folder() / FILE
    write_atomically(path, encode_shipped(list(documents), vectors.astype("<f2"), flags, checks))
    said = f"{path.name}: {len(documents)} entries, {path.stat().st_size:,} bytes\n"
    sys.stdout.write(said)


if __name__ == "__main__":
    main()
