"""The texts on which a prepared encoder is compared with sentence-transformers."""

from __future__ import annotations

_MIDDLE = (
    "Heart failure with preserved ejection fraction is common in older adults, and few treatments"
    " have been shown to lengthen life. We reviewed trials of four classes of drug."
)
_OTHER = (
    "MicroRNA-21 is expressed in tumour tissue. Its knock-down slowed growth of the cells in"
    " culture and in mice, which suggests that it could serve as a target."
)
_LONG = (
    "Participants with type 2 diabetes were assigned at random to metformin or placebo and"
    " followed for two years; glycated haemoglobin, body weight and renal function were measured"
    " every three months, and adverse events were recorded by assessors who did not know the"
    " treatment. "
)
PARITY_TEXTS = (
    "",
    "p53",
    "aspirin",
    "Does smoking cause lung cancer?",
    "BRCA1 and BRCA2 mutations raise the risk of ovarian cancer.",
    "interleukin-6 (IL-6), TNF-\u03b1 and IFN-\u03b3 in 12.5% of samples; P < 0.001 [95% CI]",
    "\u00c9tude de la maladie de Beh\u00e7et chez l'adulte",
    _MIDDLE,
    _OTHER,
    "x" * 300,
    _LONG,
    _LONG * 3,
    _LONG * 40,
)
"""Our own words: nothing, one word, symbols, accents, and more than any model takes."""
