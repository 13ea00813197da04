"""Encoding, for `benchmarks.indexing`: ours against sentence-transformers, in one process.

The yardstick is what everybody writes: `SentenceTransformer(model).encode(texts)`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measuring import Report, interleaved, median, percentile
from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.encoding import embedded
from bioretrieval_tui.encoding.encoder_registry import load_encoder

Vectors = npt.NDArray[np.float32]
BATCH = 32


@dataclass(frozen=True, slots=True)
class Shape:
    """What a transformer costs: layers, width, and tokens it reads at most."""

    layers: int
    width: int
    longest: int

    def flops(self, lengths: Sequence[int]) -> float:
        """Multiplications and additions to encode texts of so many tokens, padding left out."""
        per_token = 24 * self.width**2
        return float(sum(self.layers * (n * per_token + 4 * n * n * self.width) for n in lengths))


EMBEDDED = Shape(6, 384, 256)


def documents(data: Path, count: int) -> list[Document]:
    """SciFact abstracts, evenly spread over the file."""
    lines = (data / "scifact" / "corpus.jsonl").read_text().splitlines()
    step = max(1, len(lines) // count)
    records = [json.loads(line) for line in lines[::step][:count]]
    return [Document(one["_id"], one["title"], one["text"]) for one in records]


def joined(some: Sequence[Document]) -> list[str]:
    """The texts as BEIR joins them, and so the embedded model's recipe."""
    return [f"{one.title} {one.text}" for one in some]


def plain_model(device: str = "cpu", folder: Path | None = None) -> Any:
    """sentence-transformers as everybody loads it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder or embedded.verify()), device=device)


def token_lengths(model: Any, texts: Sequence[str], longest: int) -> list[int]:
    """Tokens of each text as the model reads it."""
    tokenizer = model.tokenizer
    return [min(longest, len(tokenizer(text)["input_ids"])) for text in texts]


def matrix_peak(kind: str, device: str = "cpu") -> float:
    """The most floating point operations a second that a matrix product of this type reaches
    here: the best of several sizes."""
    import torch

    dtype = getattr(torch, kind)
    best = 0.0
    for size in (1_024, 2_048, 4_096) if device == "cpu" else (4_096, 8_192, 16_384):
        one = torch.randn(size, size, device=device).to(dtype)
        other = torch.randn(size, size, device=device).to(dtype)
        for _ in range(6):
            started = time.perf_counter()
            one @ other
            if device != "cpu":
                torch.cuda.synchronize()
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return best


def timed(work: Callable[[], object]) -> Callable[[], float]:
    """A maker for `interleaved`: seconds of one call."""

    def once() -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    return once


def cosines(one: Vectors, other: Vectors) -> Vectors:
    """Cosine of each pair of rows."""
    products = (one * other).sum(axis=1)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    result: Vectors = products / lengths
    return result


def on_the_cpu(report: Report, data: Path, rounds: int, count: int) -> None:
    """Documents a second, agreement, share of the matrix peak, a query's time."""
    some = documents(data, count)
    texts = joined(some)
    plain = plain_model()
    ours = load_encoder(device="cpu")

    def by_plain() -> Vectors:
        vectors: Vectors = plain.encode(texts, batch_size=BATCH, show_progress_bar=False)
        return vectors

    times = interleaved(
        {"plain": timed(by_plain), "ours": timed(lambda: ours.encode_documents(some))}, rounds
    )
    agreement = cosines(by_plain(), ours.encode_documents(some))
    flops = EMBEDDED.flops(token_lengths(plain, texts, EMBEDDED.longest))
    peak = matrix_peak(ours.dtype)
    fast, slow = median(times["ours"]), median(times["plain"])
    ratios = [a / b for a, b in zip(times["plain"], times["ours"], strict=True)]
    report.say(
        f"Embedding {count} SciFact abstracts with the embedded model on the CPU"
        f" ({ours.dtype}), {rounds} interleaved rounds."
    )
    report.say()
    report.table(
        ["", "documents/s", "ratio", "cosine mean", "cosine worst", "of the matrix peak"],
        [
            ["`SentenceTransformer.encode`, fp32, batch 32", f"{count / slow:.1f}", "1.00",
             "1", "1", ""],
            ["ours", f"{count / fast:.1f}", f"{median(ratios):.2f}", f"{agreement.mean():.6f}",
             f"{agreement.min():.6f}", f"{flops / fast / peak:.0%} of {peak / 1e9:.0f} GFLOP/s"],
        ],
    )  # fmt: skip
    bars = "3.8 with bf16 (cosine 0.9998 mean, 0.999 worst, 60% of the peak), else 2.0"
    report.say(f"Bars: ratio {bars}. Ratios of the rounds: {min(ratios):.2f} to {max(ratios):.2f}.")
    report.say()


def warm_queries(report: Report, data: Path, rounds: int) -> None:
    """A query's vector, warm: each in processes of its own, as a search process is, in turn."""
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    vectors: dict[str, Vectors] = {}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            for name, values in times.items():
                out = Path(folder) / f"{name}.npy"
                words = [sys.executable, "-c", "from benchmarks.embedding import ask; ask()"]
                words += [name, str(data), str(out)]
                done = subprocess.run(words, check=True, capture_output=True, text=True)
                values += json.loads(done.stdout.splitlines()[-1])
                vectors[name] = np.load(out)
    worst = float(cosines(vectors["plain"], vectors["ours"]).min())
    ratio = median(times["ours"]) / median(times["plain"])
    report.say(
        f"A warm query vector: {median(times['ours']):.1f} ms (p95"
        f" {percentile(times['ours'], 0.95):.1f}) against {median(times['plain']):.1f} ms (p95"
        f" {percentile(times['plain'], 0.95):.1f}), ratio {ratio:.2f} (bar 0.4); cosine at least"
        f" {worst:.6f}."
    )
    report.say()


def ask() -> None:
    """A child, called with whose encoder, the data and a file for the vectors: milliseconds of a
    hundred queries, each asked alone, as JSON on stdout."""
    name, data, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    lines = (data / "scifact" / "queries.jsonl").read_text().splitlines()[:100]
    queries = [json.loads(line)["text"] for line in lines]
    encode: Callable[[str], Vectors]
    if name == "plain":
        model = plain_model()
        encode = lambda text: model.encode([text], show_progress_bar=False)  # noqa: E731
    else:
        ours = load_encoder(device="cpu", side="query")
        encode = lambda text: ours.encode_queries([text])  # noqa: E731
    for query in queries[:10]:
        encode(query)
    times, vectors = [], []
    for query in queries:
        started = time.perf_counter()
        vectors.append(encode(query)[0])
        times.append(1000 * (time.perf_counter() - started))
    np.save(out, np.array(vectors))
    print(json.dumps(times))


def against_the_library(
    report: Report, data: Path, device: str, rounds: int, counts: Sequence[int]
) -> None:
    """Ours in torch against the library's best on the same texts in turn: `encode` in float32 and
    in bfloat16, and its pool of processes in bfloat16, one a card, or two on the processor. Models:
    the embedded one, one of BERT base's size, and a decoder of 0.6 billion weights, the last two
    with random weights; counts: the texts of each."""
    import torch

    cards = torch.cuda.device_count() if device.startswith("cuda") else 0
    devices = [f"cuda:{card}" for card in range(cards)] or ["cpu", "cpu"]
    rows = []
    with tempfile.TemporaryDirectory() as named:
        base, decoder = Path(named, "base"), Path(named, "decoder")
        _bert_base(base)
        _decoder(decoder)
        for (name, where, shape), count in zip(
            (
                ("embedded, 22 M", None, EMBEDDED),
                ("BERT base, 110 M", base, Shape(12, 768, 512)),
                ("Qwen3, 0.6 B", decoder, Shape(28, 1_024, 512)),
            ),
            counts,
            strict=True,
        ):
            some = documents(data, count)
            texts = joined(some)
            plain, half = plain_model(device, where), plain_model(device, where).bfloat16()
            pooling = "last" if where == decoder else "mean"
            recipe = _recipe(shape.longest, pooling)
            chosen = (embedded.MODEL_ID, embedded.RECIPE) if where is None else (str(where), recipe)
            ours = load_encoder(*chosen, device=device)
            pool = half.start_multi_process_pool(devices)
            try:

                def by_pool(model: Any = half, texts: Any = texts, pool: Any = pool) -> object:
                    return model.encode(texts, pool=pool, show_progress_bar=False)

                def alone(model: Any, texts: Any = texts) -> object:
                    return model.encode(texts, show_progress_bar=False)

                times = interleaved(
                    {
                        "fp32": timed(partial(alone, plain)),
                        "bf16": timed(partial(alone, half)),
                        "pool": timed(by_pool),
                        "ours": timed(partial(ours.encode_documents, some)),
                    },
                    rounds,
                )
            finally:
                half.stop_multi_process_pool(pool)
            agreement = cosines(
                plain.encode(texts, show_progress_bar=False), ours.encode_documents(some)
            )
            taken = {one: median(values) for one, values in times.items()}
            best = min(taken["fp32"], taken["bf16"], taken["pool"])
            flops = shape.flops(token_lengths(plain, texts, shape.longest))
            share = flops / taken["ours"] / matrix_peak(ours.dtype, device)
            rows.append(
                [name, f"{count:,}", *(f"{count / taken[one]:.1f}" for one in times),
                 f"{taken['fp32'] / taken['ours']:.2f}", f"{best / taken['ours']:.2f}",
                 f"{agreement.min():.5f}", f"{share / max(1, cards):.0%}"]
            )  # fmt: skip
    what = f"{cards} x {torch.cuda.get_device_name()}" if cards else "the processor, in torch"
    report.say(f"SciFact abstracts on {what}, {rounds} interleaved rounds, texts a second.")
    report.say()
    report.table(
        ["model", "texts", "`encode`, float32", "in bf16", "pool of processes", "ours",
         "ratio to float32", "ratio to the best", "cosine worst", "of the matrix peak"],
        rows,
    )  # fmt: skip
    report.say("Bars on a card: 2.5 to float32, and 1.5 to the library's best.")
    report.say()


def _recipe(longest: int, pooling: Any) -> Any:
    import msgspec

    from bioretrieval_tui.catalog.models import Side

    recipe = embedded.RECIPE
    return msgspec.structs.replace(
        recipe,
        query=Side(template="{text}", max_length=longest),
        document=Side(template="{title} {text}", max_length=longest),
        pooling=pooling,
    )


def _decoder(folder: Path) -> None:
    """A decoder of the size of Qwen3-Embedding-0.6B with random weights, last-token pooling, and
    the embedded model's tokenizer, as sentence-transformers loads it."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import Qwen3Config, Qwen3Model

    bare = folder / "bare"
    _tokenizer(bare)
    config = Qwen3Config(
        vocab_size=151_669, hidden_size=1_024, intermediate_size=3_072, num_hidden_layers=28,
        num_attention_heads=16, num_key_value_heads=8, head_dim=128,
    )  # fmt: skip
    Qwen3Model(config).save_pretrained(bare)
    reading = Transformer(str(bare), max_seq_length=512)
    pooling = Pooling(reading.get_embedding_dimension(), pooling_mode="lasttoken")
    SentenceTransformer(modules=[reading, pooling, Normalize()]).save_pretrained(str(folder))


def _bert_base(folder: Path) -> None:
    """A model of BERT base's size with random weights and the embedded model's tokenizer."""
    from transformers import BertConfig, BertModel

    _tokenizer(folder)
    BertModel(BertConfig(vocab_size=30_522)).save_pretrained(folder)


def _tokenizer(folder: Path) -> None:
    """The embedded model's tokenizer, for up to 512 tokens."""
    import shutil

    own = embedded.verify()
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        if (own / name).exists():
            shutil.copy(own / name, folder / name)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["model_max_length"] = 512
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
