"""Tiny models of random weights with real tokenizers, saved as transformers saves them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bioretrieval_tui.catalog.entries import Encoding, Side
from bioretrieval_tui.encoding import embedded

WORDS = "the liver statin muscle pain gene cell p53 trial of in and title heart failure".split()


def recipe(**changes: object) -> Encoding:
    """A recipe with a template and a length for each side, different ones."""
    base = Encoding(
        type="bi-encoder",
        grade="A",
        library="transformers",
        query=Side(template="query: {query}", max_length=12),
        document=Side(template="passage: {title}{sep}{text}", max_length=40),
        pooling="cls",
        normalise=True,
        similarity="cosine",
    )
    return msgspec.structs.replace(base, **changes)


def save_bert(folder: Path, **changes: Any) -> Path:
    """A BERT with the embedded model's tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(7)
    BertModel(BertConfig(**(_small() | changes))).save_pretrained(folder)
    names = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")
    for name in names:
        shutil.copy(embedded.locate().folder / name, folder / name)
    return folder


def save_mpnet(folder: Path) -> Path:
    """An MPNet with word pieces: it attends by relative places, and has no token types."""
    import torch
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizerFast

    vocabulary = {
        word: number
        for number, word in enumerate(
            ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", *WORDS, *"abcdefghijklmnopqrstuvwxyz.,?:"]
        )
    }
    torch.manual_seed(7)
    MPNetModel(MPNetConfig(**_small(), vocab_size=len(vocabulary))).save_pretrained(folder)
    folder.mkdir(exist_ok=True)
    MPNetTokenizerFast(vocab=vocabulary, model_max_length=62).save_pretrained(folder)
    return folder


def save_xlm_roberta(folder: Path) -> Path:
    """An XLM-RoBERTa with a unigram tokenizer: its places are counted from the padding's id."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast

    pieces = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces += [f"\u2581{word}" for word in WORDS]
    pieces += [*"\u2581abcdefghijklmnopqrstuvwxyz.,?:", "<mask>"]
    vocabulary = [(piece, -float(number)) for number, piece in enumerate(pieces)]
    torch.manual_seed(7)
    config = XLMRobertaConfig(**_small(), vocab_size=len(vocabulary), pad_token_id=1)
    XLMRobertaModel(config).save_pretrained(folder)
    XLMRobertaTokenizerFast(vocab=vocabulary, model_max_length=62).save_pretrained(folder)
    return folder


SAVE = {"bert": save_bert, "mpnet": save_mpnet, "xlm-roberta": save_xlm_roberta}


def reference(texts: list[str], folder: Path, max_length: int, pooling: str) -> np.ndarray:
    """The model card's own way, with transformers alone: tokenise, run, pool, normalise."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = AutoModel.from_pretrained(str(folder), dtype=torch.float32).eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            inputs = tokenizer(
                text, truncation=True, max_length=max_length, padding=False, return_tensors="pt"
            )
            states = model(**inputs).last_hidden_state[0]
            vector = states[0] if pooling == "cls" else states.mean(dim=0)
            rows.append(torch.nn.functional.normalize(vector, dim=0).numpy())
    return np.stack(rows)


def _small() -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
