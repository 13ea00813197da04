"""Puts the compiled catalogue into the wheel, made from the YAML that the wheel carries; for an
editable install, beside the code."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledCatalogue(BuildHookInterface):  # type: ignore[type-arg]
    """Validates `data/` and adds its compiled form; a catalogue with problems is not packaged."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        sys.path.insert(0, str(root / "src"))
        try:
            import msgspec

            from bioretrieval_tui.catalog.compiled import BUNDLE, compile_catalogue, content_key
            from bioretrieval_tui.errors import CatalogueError
        finally:
            sys.path.pop(0)
        folder = root / "data"
        key = content_key(sorted(folder.glob("*.yaml")), {})
        try:
            compiled = msgspec.json.encode(compile_catalogue(folder, {}, key))
        except CatalogueError:
            if version == "editable":
                return  # the app says what is wrong
            raise
        if version == "editable":
            # Used while its key is that of the YAML; an edited file is compiled at the next start.
            BUNDLE.mkdir(exist_ok=True)
            (BUNDLE / "catalogue.json").write_bytes(compiled)
            return
        self._kept = tempfile.TemporaryDirectory()
        target = Path(self._kept.name) / "catalogue.json"
        target.write_bytes(compiled)
        build_data["force_include"][str(target)] = "bioretrieval_tui/_bundle/catalogue.json"
