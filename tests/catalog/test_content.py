"""The catalogue that we ship: what it must hold, whose words it is in, and what it corrects.

`seed_ngrams.txt` holds a short hash of every run of eight words of the web page that the catalogue
grew from, so that no sentence of it comes back. It was made from the page's HTML by
`python tests/catalog/test_content.py PAGE`.
"""

from __future__ import annotations

import hashlib
import html
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from bioretrieval_tui.catalog.catalogue import Catalogue
from bioretrieval_tui.catalog.models import (
    Benchmark,
    Content,
    Dataset,
    Milestone,
    Model,
    Paper,
    Recipe,
    Step,
)

HERE = Path(__file__).resolve().parent
DATA = HERE.parents[1] / "data"
NGRAMS = HERE / "seed_ngrams.txt"
RUN = 8

LINKS_OF_THE_PAGE = """
http://participants-area.bioasq.org/
https://arxiv.org/abs/1901.08746
https://arxiv.org/abs/1903.10676
https://arxiv.org/abs/2007.15779
https://arxiv.org/abs/2010.11784
https://arxiv.org/abs/2104.08663
https://arxiv.org/abs/2203.15827
https://arxiv.org/abs/2307.00589
https://arxiv.org/abs/2311.16075
https://arxiv.org/abs/2404.18443
https://arxiv.org/abs/2505.14558
https://arxiv.org/abs/2507.19407
https://arxiv.org/abs/2511.08029
https://arxiv.org/abs/2604.15591
https://github.com/MohammadKhodadad/MedTEB
https://github.com/NiravBhattLab/BiCA
https://github.com/beir-cellar/beir
https://hf.co/BMRetriever/BMRetriever-2B
https://hf.co/BMRetriever/BMRetriever-410M
https://hf.co/BMRetriever/BMRetriever-7B
https://hf.co/FremyCompany/BioLORD-2023
https://hf.co/LunaLan07/BioHiCL-Base
https://hf.co/LunaLan07/BioHiCL-Large
https://hf.co/MohammadKhodadad/MedTE
https://hf.co/allenai/scibert_scivocab_uncased
https://hf.co/cambridgeltl/SapBERT-from-PubMedBERT-fulltext-mean-token
https://hf.co/datasets/BMRetriever/biomed_retrieval_dataset
https://hf.co/datasets/BeIR/nfcorpus
https://hf.co/datasets/BeIR/scidocs
https://hf.co/datasets/BeIR/scifact
https://hf.co/datasets/BeIR/trec-covid
https://hf.co/datasets/FremyCompany/BioLORD-Dataset
https://hf.co/datasets/MedRAG/pubmed
https://hf.co/datasets/MedRAG/statpearls
https://hf.co/datasets/MedRAG/textbooks
https://hf.co/datasets/allenai/cord19
https://hf.co/datasets/qiaojin/PubMedQA
https://hf.co/datasets/tabilab/biosses
https://hf.co/dmis-lab/biobert-v1.1
https://hf.co/michiyasunaga/BioLinkBERT-large
https://hf.co/microsoft/BiomedNLP-PubMedBERT-base-uncased-abstract
https://hf.co/ncbi/MedCPT-Article-Encoder
https://hf.co/ncbi/MedCPT-Cross-Encoder
https://hf.co/ncbi/MedCPT-Query-Encoder
"""
FOOTER = "https://huggingface.co/lvwerra"

SEED_ENTRIES = {
    "timeline": """evolution-biobert evolution-scibert evolution-pubmedbert evolution-sapbert
        evolution-beir evolution-biolinkbert evolution-medcpt evolution-biolord-2023
        evolution-bmretriever evolution-bica evolution-medte evolution-biohicl""",
    "models": """medcpt biolord-2023 bmretriever-410m bmretriever-7b biohicl-base
        sapbert-mean-token medte biolinkbert-large biomedbert-abstract""",
    "benchmarks": "nfcorpus trec-covid scifact bioasq-beir scidocs biosses pubmedqa medteb r2med",
    "datasets": """medrag-pubmed medrag-textbooks medrag-statpearls bmretriever-mix
        biolord-dataset cord19""",
    "recipes": """train-biohicl train-bmretriever train-medte train-bica train-medcpt
        train-biolord-2023""",
    "path": "step-1 step-2 step-3 step-4 step-5",
}
"""Of the page's cards by section; its card 'BMRetriever (410M-7B)' is an entry a size here."""

# Models of the facts whose recipe was written down.
WITH_A_RECIPE = """medcpt medcpt-cross-encoder bmretriever-410m bmretriever-1b bmretriever-2b
    bmretriever-7b biohicl-base biohicl-large bica-base medte medembed-small medembed-base
    medembed-large pubmedbert-embeddings s-pubmedbert-ms-marco biolord-2023 biolord-2023-s
    biolord-2023-c biolord-2023-m sapbert sapbert-mean-token sapbert-xlmr specter
    specter2 specter2-adhoc-query scincl contriever contriever-msmarco bge-base-en-v1-5 gte-base
    e5-base-v2 all-minilm-l6-v2 qwen3-embedding-0-6b biobert scibert biomedbert-abstract
    biomedbert-abstract-fulltext biolinkbert-base biolinkbert-large bio-clinicalbert"""

# Entry, and words that one of its correcting notes must hold.
# fmt: off
CORRECTIONS = [
    ("biobert-paper", "continued pre-training"), ("biobert-paper", "PubMed abstracts only"),
    ("biobert-paper", "2020"), ("evolution-biobert", "not fine-tuned"),
    ("scibert", "18% computer science, 82% broad biomedical"), ("scibert", "round 1 only"),
    ("scibert", "allenai/scibert_scivocab_uncased"), ("scibert-paper", "18% computer science, 82%"),
    ("evolution-scibert", "82% biomedical and 18% computer science"),
    ("biomedbert-abstract", "November 2023 it was renamed BiomedBERT"),
    ("biomedbert-abstract", "abstract-fulltext"), ("biomedbert-abstract", "no retrieval head"),
    ("pubmedbert-paper", "PubMedBERT became BiomedBERT"), ("evolution-pubmedbert", "Renamed"),
    ("sapbert-paper", "mean-token"), ("sapbert-mean-token", "not passages"),
    ("biolinkbert-large", "citations"), ("biolinkbert-paper", "citation links"),
    ("medcpt", "journal version says six"), ("medcpt-paper", "journal version says six"),
    ("medcpt-paper", "btad651"), ("medcpt", "never released"), ("train-medcpt", "says six"),
    ("step-2", "half a model"), ("medcpt", "two, three with the reranker"),
    ("biolord-2023", "all-mpnet-base-v2"), ("biolord-2023", "JAMIA"), ("biolord-2023", "SNOMED"),
    ("biolord-2023-paper", "JAMIA 31(9), 2024"), ("train-biolord-2023", "not from PubMedBERT"),
    ("biolord-2023-m", "there is one"), ("train-biolord-2023", "ranking of retrievers"),
    ("bmretriever-410m", "GTR-XXL with 4.8B"), ("bmretriever-410m", "353,822,720"),
    ("bmretriever-paper", "over 5B is made for the 2B"), ("bmretriever-1b", "fourth size"),
    ("bmretriever-paper", "There are four"), ("bmretriever-7b", "BioMistral"),
    ("bmretriever-paper", "number of evaluation datasets"), ("gtr-xxl", "4.8B"),
    ("evolution-bmretriever", "Up to 11.7 times"), ("step-3", "up to 11.7 times"),
    ("bica-base", "November 2025"), ("bica-paper", "November 2025"), ("train-bica", "AAAI-26"),
    ("evolution-bica", "Placed in 2024"), ("bica-paper", "0.494 against 0.498"),
    ("bica-paper", "bisectgroup/BiCA-base"), ("bica-negatives", "at most 0.004"),
    ("medte", "MedTE-cl15-step-8000"), ("medte-paper", "MedTE-cl15-step-8000"),
    ("evolution-medte", "MedTE-cl15-step-8000"), ("medte", "cannot be ranked"),
    ("medteb", "code only"), ("step-4", "no data"), ("medteb", "pair classification"),
    ("biohicl-base", "17 April 2026"), ("biohicl-paper", "17 April 2026"),
    ("biohicl-base", "0.231"), ("train-biohicl", "a tie at most"), ("biohicl-paper", "MengfeiLan"),
    ("train-biohicl", "three measures that cannot be compared"), ("bmretriever-2b", "the same"),
    ("specter2", "August 2023"), ("specter2-scirepeval-paper", "proximity adapter"),
    ("train-specter2", "specter2_base"), ("biosses", "Spearman"),
    ("scidocs", "citation prediction"), ("bioasq-beir", "MAP over at most 10"),
    ("pubmedqa", "reading comprehension"),
    ("scifact", "CC BY 4.0"), ("r2med", "article encoder for both sides"),
    ("medrag-textbooks", "pre-training"), ("medrag-statpearls", "pre-training"),
    ("bmretriever-mix", "about 1.4M pairs"), ("cord19", "over 1M papers, about 370k"),
    ("cord19-paper", "over 1M papers"), ("qwen3-embedding-0-6b", "above every specialist"),
    ("bge-small-en-v1-5", "384"), ("medembed-small", "bge-small"), ("trec-covid", "round 1 only"),
]
# fmt: on


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.casefold())


def runs(text: str) -> set[str]:
    """A short hash of every run of eight words."""
    found = words(text)
    joined = (" ".join(found[i : i + RUN]) for i in range(len(found) - RUN + 1))
    return {hashlib.blake2s(run.encode(), digest_size=5).hexdigest() for run in joined}


def test_it_is_as_large_as_promised(catalogue: Catalogue) -> None:
    benchmarks = Counter(b.type for b in catalogue.of_type(Benchmark))
    assert len(catalogue.of_type(Paper)) >= 76
    assert len(catalogue.of_type(Model)) >= 45
    assert benchmarks["set"] >= 52
    assert benchmarks["suite"] >= 3
    assert len(catalogue.of_type(Dataset)) >= 18
    assert len(catalogue.of_type(Recipe)) >= 12
    assert len(catalogue.of_type(Milestone)) >= 18
    assert len(catalogue.of_type(Step)) == 5
    assert len(catalogue.results) >= 250


@pytest.mark.parametrize("section", SEED_ENTRIES)
def test_nothing_of_the_page_was_dropped(catalogue: Catalogue, section: str) -> None:
    held = {entry.id for entry in catalogue.section(section)}
    assert set(SEED_ENTRIES[section].split()) <= held


def test_every_link_of_the_page_is_a_link_of_an_entry(catalogue: Catalogue) -> None:
    held = {link.url for entry in catalogue.entries for link in entry.links}
    wanted = LINKS_OF_THE_PAGE.split()
    assert len(wanted) == 44
    assert [url for url in wanted if url not in held] == []
    cited = {source for entry in catalogue.entries for source in entry.sources}
    assert FOOTER in {source.url for source in catalogue.sources.values() if source.id in cited}


def test_summaries_have_the_right_length(catalogue: Catalogue) -> None:
    for entry in catalogue.entries:
        low, high = (
            (40, 120) if isinstance(entry, Paper | Model | Benchmark | Dataset) else (25, 80)
        )
        assert low <= len(entry.summary.split()) <= high, entry.id


def test_no_summary_repeats_the_page_or_another(shipped: Content) -> None:
    seed = set(NGRAMS.read_text(encoding="ascii").split())
    assert len(seed) > 1000
    owner: dict[str, str] = {}
    for entry in shipped.entries:
        for text in (entry.summary, *(note.text for note in entry.notes)):
            assert not runs(text) & seed, f"{entry.id} repeats the page"
        for run in runs(entry.summary):
            assert owner.setdefault(run, entry.id) == entry.id, f"{entry.id}: {owner[run]}"


def test_the_words_are_plain() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in DATA.glob("*.yaml"))
    text = re.sub(r"^    title:.*\n(?:      .*\n)*", "", text, flags=re.MULTILINE)
    for mark in "\u2014\u2013\u2026\u201c\u201d\u2018\u2019":
        assert mark not in text, f"U+{ord(mark):04X}"
    for word in ("state-of-the-art", "state of the art", "game changer", "cutting-edge", "leverage",
                 "seamless", "groundbreaking", "revolutioni"):  # fmt: skip
        assert word not in text.casefold(), word


def test_every_entry_is_sourced_and_linked_to_others(catalogue: Catalogue) -> None:
    for entry in catalogue.entries:
        assert entry.sources, entry.id
        assert catalogue.related(entry.id), entry.id
        assert entry.added, entry.id
        assert entry.tags, entry.id


def test_relations_lead_back(catalogue: Catalogue) -> None:
    for entry in catalogue.entries:
        for other in catalogue.related(entry.id):
            assert entry in catalogue.related(other.id), f"{other.id} -> {entry.id}"
        for target in entry.relations:
            assert target in {other.id for other in catalogue.related(entry.id)}


def test_papers_can_be_found(catalogue: Catalogue) -> None:
    without = [p.id for p in catalogue.of_type(Paper) if not (p.arxiv or p.doi or p.acl or p.links)]
    assert without == ["repair-paper"]  # a preprint without a known address


@pytest.mark.parametrize("identifier", WITH_A_RECIPE.split())
def test_a_model_with_a_known_recipe_carries_it(catalogue: Catalogue, identifier: str) -> None:
    model = catalogue.entry(identifier)
    assert isinstance(model, Model)
    encoding = model.encoding
    assert encoding is not None
    if encoding.type == "bi-encoder":
        assert encoding.query is not None
        assert encoding.document is not None
        assert encoding.query.model in model.hub
        assert encoding.document.model in model.hub
        for name in ("pooling", "similarity", "normalise"):
            known = getattr(encoding, name) is not None
            assert known or name in encoding.unverified, name
    if encoding.type == "none":
        assert model.role == "encoder"


def test_every_recipe_says_whether_it_can_be_trained_here(catalogue: Catalogue) -> None:
    for recipe in catalogue.of_type(Recipe):
        assert recipe.training is not None, recipe.id
        if recipe.training.runnable == "yes":
            assert recipe.training.pairs, recipe.id
            assert recipe.training.loss, recipe.id


def test_only_a_model_that_nobody_can_run_has_no_recipe(catalogue: Catalogue) -> None:
    """MedEIR's paper states none; the other two are services."""
    without = {m.id for m in catalogue.of_type(Model) if m.encoding is None}
    assert without == {"medeir", "text-embedding-3-large", "voyage-3"}


def test_recipes_that_nobody_read_are_marked(catalogue: Catalogue) -> None:
    for model in catalogue.of_type(Model):
        if model.encoding is not None and model.encoding.grade == "C":
            assert model.encoding.unverified, model.id
    for identifier in ("biohicl-base", "biohicl-large"):
        model = catalogue.entry(identifier)
        assert isinstance(model, Model)
        assert model.encoding is not None
        assert {"pooling", "query.template"} <= set(model.encoding.unverified)
        assert model.licence is None


@pytest.mark.parametrize(("identifier", "said"), CORRECTIONS)
def test_a_common_belief_is_corrected(catalogue: Catalogue, identifier: str, said: str) -> None:
    notes = [note.text for note in catalogue.entry(identifier).notes if note.corrects]
    assert any(said in " ".join(text.split()) for text in notes), notes


def test_values_that_were_wrong_on_the_page(catalogue: Catalogue) -> None:
    assert getattr(catalogue.entry("bica-paper"), "venue", None) == "AAAI 2026 (oral)"
    assert catalogue.entry("bica-base").year == 2025
    assert catalogue.entry("evolution-bica").year == 2025
    assert catalogue.entry("evolution-biohicl").year == 2026
    assert getattr(catalogue.entry("biosses"), "metric", None) == "Spearman"
    assert getattr(catalogue.entry("scidocs"), "task", None) == "citation prediction"
    assert getattr(catalogue.entry("medte"), "hub", None) == (
        "MohammadKhodadad/MedTE-cl15-step-8000",
    )
    assert getattr(catalogue.entry("bmretriever-410m"), "params", None) == 353_822_720
    assert getattr(catalogue.entry("pubmed-logs"), "available", None) is False


def main(page: str) -> None:
    """Write the hashes of a page's words."""
    body = page[page.index("<body>") :]
    lines = (line.strip().removeprefix("|").removesuffix("|") for line in body.splitlines())
    text = html.unescape(re.sub(r"<[^>]+>", " ", " ".join(lines)))
    NGRAMS.write_text("\n".join(sorted(runs(text))) + "\n", encoding="ascii")


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_text(encoding="utf-8"))
