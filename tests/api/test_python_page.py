"""docs/python.md and docs/notebook.ipynb: their code runs, line by line."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "notebook.ipynb"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_the_page_runs(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(folder, tmp_path / "benchmark")
    shutil.copy(folder / "corpus.jsonl", tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"{PAGE.name}, block {number + 1}", "exec"), names)  # noqa: S102
    told = capsys.readouterr().out
    assert len(BLOCKS) >= 5
    assert "1 d3 " in told
    assert "q1 ['d2'" in told


def test_the_page_names_what_is_public() -> None:
    import bioretrieval_tui as br

    text = PAGE.read_text(encoding="utf-8")
    functions = [name for name in br.__all__ if name[0].islower()]
    missing = [name for name in functions if f"br.{name}" not in text]
    assert missing == ["indexes"]


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")  # of the development environment
    nbformat = pytest.importorskip("nbformat")
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    told = "".join(one.get("text", "") for cell in code for one in cell.outputs)
    assert "1 d3 " in told or "1 d7 " in told
    assert "(2, 384) (8, 384)" in told
    assert "nDCG@10, p = " in told
