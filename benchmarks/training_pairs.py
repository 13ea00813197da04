"""Examples to train on from 129,332 real paragraphs, against plain reading of them.

    python -m benchmarks.training_pairs [--keep] [--quick]

Headings and citations are made, since the paragraphs have none: a tree of 30,000 headings, about
10 for each paragraph, most of them of one subject, and 20 references to paragraphs near it. Times
are of the processor; other work on the machine does not change them much.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.measuring import Report, interleaved, median
from bioretrieval_tui.documents.detect import items, recognise
from bioretrieval_tui.documents.document import Document, Record
from bioretrieval_tui.documents.mesh import Heading, mesh_path
from bioretrieval_tui.documents.source import ReadSettings, SourceReader
from bioretrieval_tui.training import examples as training
from bioretrieval_tui.training.citation_examples import citation_pairs
from bioretrieval_tui.training.mesh_examples import mesh_pairs

DATA = Path("../shared/data")
BAR = 5_000
"""Documents of a second."""
HEADINGS = 30_000
REFERENCES = 20


def documents_of(path: Path, most: int | None = None) -> Iterator[Document]:
    with SourceReader(path) as source:
        found = items(source, recognise(source), ReadSettings())
        for item in itertools.islice(found, most):
            if isinstance(item, Record):
                yield item.document


def make_mesh(draw: random.Random) -> list[str]:
    """Keep a tree of headings as deep as MeSH is, and return their names."""
    trees = [f"C{number:02}" for number in range(100)]
    while len(trees) < 2 * HEADINGS:
        above = min(draw.choice(trees), draw.choice(trees), key=len)  # not as deep as by chance
        trees.append(f"{above}.{draw.randrange(1_000):03}")
    trees = list(dict.fromkeys(trees))
    draw.shuffle(trees)
    headings = [
        Heading(f"Heading {number}", tuple(trees[number::HEADINGS])) for number in range(HEADINGS)
    ]
    head = "bioretrieval mesh 1\tmade\t2026-01-01"
    mesh_path().parent.mkdir(parents=True, exist_ok=True)
    mesh_path().write_text("\n".join([head, *sorted(one.line for one in headings), ""]))
    return [one.name for one in headings]


def linked(documents: list[Document], names: list[str], draw: random.Random) -> list[Document]:
    """The documents with headings, most of them of one subject of 30, and references."""
    found = []
    subjects = [draw.sample(names, 30) for _ in range(3_000)]
    uneven = list(itertools.accumulate(1 / (place + 3) for place in range(30)))
    common = names[:300]
    for number, one in enumerate(documents):
        near = (number + round(draw.gauss(0, 500)) for _ in range(REFERENCES))
        references = [documents[at % len(documents)].id for at in near]
        own = draw.choices(draw.choice(subjects), cum_weights=uneven, k=7)
        headings = sorted({*own, *draw.choices(common, k=3)})
        known = {**one.metadata, "mesh": headings, "references": references}
        found.append(Document(one.id, one.title, one.text, known))
    return found


def write_pairs(documents: list[Document], folder: Path) -> dict[str, Path]:
    """Titles and texts as files of pairs."""
    paths = {name: folder / f"pairs.{name}" for name in ("jsonl", "csv", "parquet")}
    rows = [(one.title, one.text) for one in documents]
    with paths["jsonl"].open("w") as out:
        for query, positive in rows:
            out.write(json.dumps({"query": query, "positive": positive}) + "\n")
    with paths["csv"].open("w", newline="") as out:
        csv.writer(out).writerows([("query", "positive"), *rows])
    import pyarrow
    import pyarrow.parquet

    columns = dict(zip(("query", "positive"), map(list, zip(*rows, strict=True)), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(columns), paths["parquet"])
    return paths


def main() -> None:
    report = Report("Examples to train on")
    quick = "--quick" in sys.argv
    most = 12_933 if quick else None
    paragraphs = DATA / "evidence-inference" / "paragraphs.jsonl.gz"
    draw = random.Random(7)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BIORETRIEVAL_HOME"] = folder
        documents = list(documents_of(paragraphs, most))
        names = make_mesh(draw)
        papers = linked(documents, names, draw)
        abstracts = list(documents_of(DATA / "evidence-inference" / "corpus.jsonl"))
        corpus = {one.id: one for one in abstracts}
        paths = write_pairs(documents, Path(folder))
        texts = len(documents)
        kinds: dict[str, tuple[int, Callable[[], training.ExampleSet]]] = {
            "titles": (texts, lambda: training.title_pairs(documents, "them", [])),
            "sentences": (texts, lambda: training.sentence_pairs(documents, "them", [])),
            "conclusions, of abstracts": (
                len(abstracts),
                lambda: training.conclusion_pairs(abstracts, "them", []),
            ),
            "MeSH": (texts, lambda: mesh_pairs(papers, "them", [])),
            "citations": (texts, lambda: citation_pairs(papers, "them", [])),
            "judgements": (
                sum(1 for _ in (DATA / "evidence-inference/qrels/train.tsv").open()) - 1,
                lambda: training.judged_pairs(DATA / "evidence-inference", corpus),
            ),
            **{
                f"pairs in {name.upper()}": (texts, partial(training.file_pairs, path))
                for name, path in paths.items()
            },
        }
        made: dict[str, int] = {}

        def timed(name: str, make: Callable[[], training.ExampleSet]) -> float:
            started = time.process_time()
            made[name] = len(make().examples)
            return time.process_time() - started

        def read() -> float:
            started = time.process_time()
            made["reading"] = sum(1 for _ in documents_of(paragraphs, most))
            return time.process_time() - started

        makers: dict[str, Callable[[], float]] = {"reading": read}
        for name, (_, make) in kinds.items():
            makers[name] = partial(timed, name, make)
        largest = training.sentence_pairs(documents, "them", []).examples

        def split() -> float:
            started = time.process_time()
            made["held out"] = sum(map(len, training.held_out(largest, 0.02, 13)))
            return time.process_time() - started

        makers["held out"] = split
        times = interleaved(makers, 1, warm_up=0)
    speeds = {name: kinds.get(name, (texts,))[0] / median(took) for name, took in times.items()}
    report.say(
        f"{texts:,} paragraphs; records (documents, pairs of a file or judgements) and examples in"
        f" a second of one processor. Bar: {BAR:,} records."
    )
    report.say()
    report.table(
        ["kind", "records", "examples", "records/s", "of reading", "examples/s"],
        [
            [name, f"{kinds.get(name, (texts,))[0]:,}", f"{made[name]:,}", f"{speed:,.0f}",
             f"{speed / speeds['reading']:.2f}", f"{made[name] / median(times[name]):,.0f}"]
            for name, speed in speeds.items()
        ],
    )  # fmt: skip
    slow = [name for name, speed in speeds.items() if speed < BAR]
    report.say("Below the bar: " + (", ".join(slow) or "none") + ".")
    report.keep("training_pairs")


if __name__ == "__main__":
    main()
