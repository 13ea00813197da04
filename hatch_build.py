"""Puts the compiled catalogue into the wheel, made from the YAML that the wheel carries."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledCatalogue(BuildHookInterface):  # type: ignore[type-arg]
    """Validates `data/` and adds its compiled form; a catalogue with problems is not packaged."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            # A checkout compiles at first start, into the user's cache.
            return
        root = Path(self.root)
        sys.path.insert(0, str(root / "src"))
        try:
            import msgspec

            from bioretrieval_tui.catalog.compiled import compile_catalogue, content_key
        finally:
            sys.path.pop(0)
        folder = root / "data"
        key = content_key(sorted(folder.glob("*.yaml")), {})
        compiled = compile_catalogue(folder, {}, key)
        self._kept = tempfile.TemporaryDirectory()
        target = Path(self._kept.name) / "catalogue.json"
        target.write_bytes(msgspec.json.encode(compiled))
        build_data["force_include"][str(target)] = "bioretrieval_tui/_bundle/catalogue.json"
