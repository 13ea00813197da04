"""A hook of mkdocs: files outside of docs/ that its pages link to are pages of the site too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "changelog.md": ROOT / "CHANGELOG.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    **{f"results/{one.name}": one for one in sorted(ROOT.glob("benchmarks/results/*.md"))},
}
LINKS = {
    "../benchmarks/results/": "results/",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changelog.md",
    "](docs/": "](",
}
"""Places in the checkout, as links name them, and in the site."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    from mkdocs.structure.files import File

    for place, path in PAGES.items():
        files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead links to them."""
    for before, after in LINKS.items():
        markdown = markdown.replace(before, after)
    return markdown
