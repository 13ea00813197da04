"""Tiny models of random weights with real tokenizers, saved as transformers saves them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bioretrieval_tui.catalog.models import Encoding, Side
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
        shutil.copy(embedded.locate() / name, folder / name)
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


def save_xlm_roberta(folder: Path, tokens: int = 62) -> Path:
    """An XLM-RoBERTa of `tokens` tokens with a unigram tokenizer: its places are counted from the
    padding's id."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizerFast

    pieces = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces += [f"\u2581{word}" for word in WORDS]
    pieces += [*"\u2581abcdefghijklmnopqrstuvwxyz.,?:", "<mask>"]
    vocabulary = [(piece, -float(number)) for number, piece in enumerate(pieces)]
    torch.manual_seed(7)
    changes = {"vocab_size": len(vocabulary), "max_position_embeddings": tokens + 2}
    config = XLMRobertaConfig(**(_small() | changes), pad_token_id=1)
    XLMRobertaModel(config).save_pretrained(folder)
    XLMRobertaTokenizerFast(vocab=vocabulary, model_max_length=tokens).save_pretrained(folder)
    return folder


SAVE = {"bert": save_bert, "mpnet": save_mpnet, "xlm-roberta": save_xlm_roberta}


def reference(texts: list[str], folder: Path, max_length: int, pooling: str) -> np.ndarray:
    """The model card's own way, with transformers alone: tokenise, run, pool, normalise."""
    import torch
    from authors_vectors import loaded

    tokenizer, model = loaded(folder)
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


# Small twins of the catalogue's models: long enough for their recipes, deep enough to tell traps.


def save_long_bert(
    folder: Path, seed: int = 7, *, labels: int | None = None, **changes: Any
) -> Path:
    """A BERT of 512 places; with `labels` one that scores pairs."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    torch.manual_seed(seed)
    sizes = {"max_position_embeddings": 512, "initializer_range": 0.3}
    config = BertConfig(**_small() | sizes | changes)
    if labels is None:
        BertModel(config).save_pretrained(folder)
    else:
        config.num_labels = labels
        BertForSequenceClassification(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(embedded.locate() / name, folder / name)
    return folder


def save_modern_bert(folder: Path) -> Path:
    """A ModernBERT with the embedded model's tokenizer: it attends to neighbours in some layers."""
    import torch
    from transformers import ModernBertConfig, ModernBertModel

    sizes = _small() | {"max_position_embeddings": 512, "vocab_size": 30_522}
    marks = {"pad_token_id": 0, "cls_token_id": 101, "bos_token_id": 101, "sep_token_id": 102}
    torch.manual_seed(7)
    config = ModernBertConfig(
        **sizes | marks, eos_token_id=102, initializer_range=0.3, local_attention=16,
        attn_implementation="sdpa",
    )  # fmt: skip
    ModernBertModel(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        shutil.copy(embedded.locate() / name, folder / name)
    return folder


def save_adapter(folder: Path, name: str, seed: int) -> Path:
    """A bottleneck adapter for `save_long_bert`, as the library for them saves it."""
    import json

    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    folder.mkdir(parents=True)
    tensors = {}
    for layer in range(2):
        place = f"bert.encoder.layer.{layer}.output.adapters.{name}"
        tensors[f"{place}.adapter_down.0.weight"] = torch.randn(4, 32)
        tensors[f"{place}.adapter_down.0.bias"] = torch.randn(4)
        tensors[f"{place}.adapter_up.weight"] = torch.randn(32, 4)
        tensors[f"{place}.adapter_up.bias"] = torch.randn(32)
    save_file(tensors, folder / "adapter.safetensors")
    settings = {
        "mh_adapter": False, "output_adapter": True, "reduction_factor": 8,
        "non_linearity": "relu", "original_ln_before": True, "original_ln_after": True,
        "ln_before": False, "ln_after": False, "residual_before_ln": True,
        "adapter_residual_before_ln": False, "scaling": 1.0, "inv_adapter": None,
        "is_parallel": False, "leave_out": [], "phm_layer": False, "use_gating": False,
    }  # fmt: skip
    about = {"config": settings, "hidden_size": 32, "model_type": "bert", "name": name}
    (folder / "adapter_config.json").write_text(json.dumps(about))
    return folder


def save_long_mpnet(folder: Path) -> Path:
    """An MPNet of 512 tokens."""
    import torch
    from transformers import MPNetConfig, MPNetModel, MPNetTokenizerFast

    save_mpnet(folder)
    torch.manual_seed(7)
    size = len(MPNetTokenizerFast.from_pretrained(folder))
    config = _small() | {"max_position_embeddings": 514, "initializer_range": 0.3}
    MPNetModel(MPNetConfig(**config, vocab_size=size)).save_pretrained(folder)
    MPNetTokenizerFast.from_pretrained(folder, model_max_length=512).save_pretrained(folder)
    return folder


def save_decoder(folder: Path, family: str) -> Path:
    """A model that reads from left to right: gpt-neox, gemma, mistral or qwen3.

    Its tokenizer has a token for each byte. As in the originals, gemma and mistral put a token in
    front, qwen3 one behind, and gpt-neox has neither that nor one for padding.
    """
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from tokenizers.processors import TemplateProcessing
    from transformers import (
        GemmaConfig,
        GemmaModel,
        GPTNeoXConfig,
        GPTNeoXModel,
        MistralConfig,
        MistralModel,
        PreTrainedTokenizerFast,
        Qwen3Config,
        Qwen3Model,
    )

    words = ["<pad>", "<bos>", "<eos>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    around = {"gemma": "<bos> $A", "mistral": "<bos> $A", "qwen3": "$A <eos>"}.get(family)
    if around is not None:
        special = [("<bos>", 1), ("<eos>", 2)]
        tokenizer.post_processor = TemplateProcessing(single=around, special_tokens=special)
    pad = {} if family == "gpt-neox" else {"pad_token": "<pad>"}
    marks = {"bos_token": "<bos>", "eos_token": "<eos>"} | pad
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks)
    sizes = _small() | {"vocab_size": len(words), "initializer_range": 0.1}
    sizes["max_position_embeddings"] = 32_768
    heads = {"num_key_value_heads": 1, "head_dim": 16}
    torch.manual_seed(7)
    model = {
        "gpt-neox": lambda: GPTNeoXModel(GPTNeoXConfig(**sizes)),
        "gemma": lambda: GemmaModel(GemmaConfig(**sizes, **heads)),
        "mistral": lambda: MistralModel(MistralConfig(**sizes, **heads)),
        "qwen3": lambda: Qwen3Model(Qwen3Config(**sizes, **heads)),
    }[family]()
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def save_static(folder: Path, *, normalise: bool, weighted: bool = False) -> Path:
    """A table of word vectors as model2vec saves it, with the embedded model's tokenizer."""
    import json

    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    tensors = {"embeddings": rng.standard_normal((30_522, 8)).astype(np.float32)}
    if weighted:
        tensors["embeddings"] = tensors["embeddings"][:100].astype(np.float16)
        tensors["mapping"] = rng.integers(0, 100, 30_522)
        tensors["weights"] = rng.random(30_522)
    save_file(tensors, folder / "model.safetensors")
    shutil.copy(embedded.locate() / "tokenizer.json", folder / "tokenizer.json")
    config = {"model_type": "model2vec", "normalize": normalise, "hidden_dim": 8}
    (folder / "config.json").write_text(json.dumps(config))
    return folder
