"""Identity of works: DOIs, PMIDs and trial numbers in one form, and the id of a record.

The rule, for every bibliographic format: the id of a record is its PMID, else its PMC id, its ERIC
number, its DOI, the trial number of a registration, the accession number of its database, else
`made:` and a hash of what identifies a work. Numbers that only count the records of one export are
no ids. Corpora whose ids are judged against (BEIR) and tables with a column for them keep theirs.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from bioretrieval_tui.documents.document import Document
from bioretrieval_tui.util.folding import fold

MAX_ID_LENGTH = 512
"""Characters of an id."""

_DOI = re.compile(r"10\.\d{4,9}(?:\.\d+)*(?:/|%2F)\S+", re.IGNORECASE)
# Where the next identifier of a list begins, behind a separator that a DOI may hold, too; the one
# of "2.0.CO;2", with which SICI DOIs end, is not followed by one.
_NEXT = re.compile(
    r"""(?<!\d\.[A-Z]{2})[;,|]+(?=["'(<\[{]*(?:10\.\d{4,9}[./%]|doi\b|https?:|pmid\b|pmc|arxiv\b
    |\d{4}\.\d{4,5}(?!\d)|\d{1,8}["')>\]}]*(?:[;,|]|$)))""",
    re.VERBOSE | re.IGNORECASE,
)
_ADDRESS = re.compile(r"https?://[^\s/]+/\S*?$", re.IGNORECASE)
_RESOLVER = re.compile(r"(?:dx\.)?doi\.org/$", re.IGNORECASE)
# What publishers write behind the DOI in the address of a page.
_PAGE = re.compile(
    r"(?:/(?:full|abstract|pdf|epdf|pdfdirect|fulltext|meta|references|citations|summary|html|epub"
    r"|full\.html|full\.pdf|full-text)|\.(?:pdf|full|abstract|short|long))+/?$",
    re.IGNORECASE,
)
_PREPRINT = re.compile(r"(10\.1101/[\d.]+)v\d+")
_ESCAPE = re.compile(r"%(?:0[9AD]|2[\dF]|3[A-F]|5[BD]|C2%A0|E2%80%8[B-F])", re.IGNORECASE)
"""An escape of a sign of which an address is made, too."""
_OPENING = {")": "(", "]": "[", ">": "<", "}": "{"}
_ENDINGS = ".,;:'\"!\u2019\u201d\u00bb*/\\<"
_UNSEEN = dict.fromkeys(
    [0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2065), 0xFEFF]
)
"""Characters without width, which copies of a page leave within words."""
_TAG = re.compile(r"</[a-z]|<(?:a|b|br|div|doi|em|i|p|span|su[bp])(?=[\s/>]|$)", re.IGNORECASE)
"""Where markup begins; SICI DOIs hold other signs of less."""
_BACKSLASHED = re.compile(r"\\([/_&%#])")
_ESCAPED_TWICE = 2

_PMID = re.compile(r"(?:(?:pmid|pubmed|medline)[\s:]*)?([1-9]\d{0,8})", re.IGNORECASE)
_PMCID = re.compile(r"(?:pmcid[\s:]*)?PMC\s?([1-9]\d{0,9})(?:\.\d+)?", re.IGNORECASE)
# Within notes, custom fields and addresses.
_NAMED_PMID = re.compile(
    r"""\b(?:pmid|pub\s?med(?:\ id)?|medline)(?:\ (?:no|number))?[\s:=\#.-]{1,3}
    (?:NLM)?([1-9]\d{0,8})\b
    |\b([1-9]\d{0,8})\s*\[(?:pmid|pubmed)\]
    |pubmed\.ncbi\.nlm\.nih\.gov/([1-9]\d{0,8})\b
    |ncbi\.nlm\.nih\.gov/(?:m/)?(?:pubmed|entrez)/(?:\S*?(?:term|list_uids|uid)=)?([1-9]\d{0,8})\b
    |europepmc\.org/(?:abstract|article)/med/([1-9]\d{0,8})\b
    |info:pmid/([1-9]\d{0,8})\b
    |[?&]d(?:b)?=(?:cmedm|mdc|mnh|mdl|med\w*|prem\w*|ppez\w*)&(?:[^\s&]*&)*?an=([1-9]\d{0,8})\b""",
    re.VERBOSE | re.IGNORECASE,
)
_NAMED_PMCID = re.compile(r"(?<![^\W\d_])PMC\s?([1-9]\d{1,9})\b", re.IGNORECASE)
# In notes, what another work is named with, wherever it stands.
_OTHER_WORKS = re.compile(
    r"""(?<![\w/.%-])(?:references\s*:|cited\ (?:by(?!\W{0,3}\d{1,5}\b)|in)
    |comment(?:ary|ed)?\ (?:in|on)|errat(?:um|a)\b|corrigend|corrected|retract(?:ion|ed\ and)
    |update[ds]?\ (?:in|of|by)|republished|expression\ of\ concern|summary\ (?:for|of)
    |original\ (?:report|article|paper|publication|study)|related|supplement
    |see\b|cf\b|preprint|companion|(?:in\ )?(?:reply|response)\ to|based\ on|follow-?\ ?up
    |(?:translation|version|duplicate|part|reprint|review|discussion)\ of)""",
    re.VERBOSE | re.IGNORECASE,
)
# The same within the key of a statement, "Main paper: ...".
_OTHER_KEY = re.compile(
    r"""\b(?:articles?|papers?|stud(?:y|ies)|trials?|works?|reports?|letters?|protocols?|comment\w*
    |repl(?:y|ies)|responses?|originals?|references?|cit(?:es?|ing|ations?)|compare|previous
    |prior|parent|main|primary|secondary|earlier|later|other|another|same|sister|linked|links?\ to
    |discuss\w*|reviewe?d?\ by|replace[ds]?|supersede[sd]?|extends?|continue[sd]?|duplicates?
    |publications?(?=\W*$))\b""",
    re.VERBOSE | re.IGNORECASE,
)
_KEYED = re.compile(r"\W{0,3}[^\W\d][\w /().-]{0,40}?\s*[:=]")
# An identifier behind the words that may introduce it.
_LABELLED = re.compile(
    rf"""[\W_]*(?:(?:and|or)\s+)?
    (?:(?:this|own|the|article|record|publication|document|accession|full[ -]?text|links?|urls?
    |eprint|numbers?|no|ids?|identifiers?|digital|object|ncbi|pub\s?med(?:\ central)?|medline
    |pmid|pmcid|pmc|doi|(?:available|retrieved|accessed)(?:\ (?:online|at|from))*)\b
    [\s:=\#.-]*){{0,6}}?
    (?:{_NAMED_PMID.pattern}|{_NAMED_PMCID.pattern}|{_DOI.pattern}|https?://\S+|arxiv:\s?\S+
    |(?:embase|cinahl|central|psycinfo|ctgov|ictrp)\s:?\s?\w+)(?:\s*\[[^\[\]]*\])?""",
    re.VERBOSE | re.IGNORECASE,
)
_NEXT_STATEMENT = re.compile(
    rf"\s*\n\s*|(?<=[.;|,\])])\s+(?={_KEYED.pattern}|10\.\d{{4}}|pmid|pmc|doi|https?:)",
    re.IGNORECASE,
)
_ISSN = re.compile(r"\s*\d{4}-\d{3}[\dX]\s*\n", re.IGNORECASE)
# What Mendeley writes before the notes of records that it merged.
_MERGED = re.compile(r"from duplicate \d+ \(.*?\)\s+(?=pmid|pmc|doi|10\.)", re.IGNORECASE)
_IDLE = re.compile(r"[\W_]*(?:(?:journal )?article|review)?[\W_]*", re.IGNORECASE)
_LONGEST_NOTE = 20_000
_IN_BRACKETS = re.compile(r"\[(?:doi|pii|pmc?id)\]", re.IGNORECASE)
_ERIC = re.compile(r"\bE[JD]\d{5,8}\b")
_COUNTER = re.compile(
    r"""(?!(?-i:[2-9A-NP-Z]{8})$)  # a key of Zotero
    \W*(?:(?:no|nr|number|ref|reference|rec|record|item|id|study|citation|key|entry)\b)?
    [\s.:\#_-]*(?:0*\d{1,6}|[^\W\d_]{1,12}[ _.-]?\d{1,5}|.)(?:\s*(?:/|of)\s*\d+)?\W*
    |(?:rayyan|covidence)\W*\d+""",
    re.VERBOSE | re.IGNORECASE,
)
"""A number that only counts records: "12", "[0000012]", "record 3 of 30", "rayyan-12345678"; those
of databases are longer."""

# The primary registries of WHO's ICTRP, with ClinicalTrials.gov and EudraCT.
_TRIAL = re.compile(
    r"""\b(?:
    NCT\d{8} | ISRCTN\d{8} | (?:EUCTR)?20\d\d-\d{6}-\d\d(?:-\d\d)?(?![\d-]) | ACTRN\d{14}
    | ChiCTR(?:-[A-Z]{2,4})?-?\d{8,10} | CTRI/\d{4}/\d{2,3}/\d{6} | DRKS\d{8}
    | IRCT\d{8,14}(?:N\d+)? | JPRN-\w+ | jRCTs?\d{9,10} | UMIN\d{9} | KCT\d{7} | LBCTR\d{10}
    | NTR\d{3,5} | PACTR\d{15,16} | RBR-[0-9a-z]{6,7} | RPCEC\d{8} | PER-\d{3}-\d{2}
    | SLCTR/\d{4}/\d{3} | TCTR\d{11} | ITMCTR\d{10}
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_REGISTRIES = ("ChiCTR", "jRCTs", "jRCT")
_LEAST_TITLE = 3


def doi_of(text: str) -> str | None:
    """The first DOI within `text`, whole and without prefix, escapes and what surrounds it, or
    None. Its letters stay as written; `same_doi` compares.

    A DOI may hold any character (SICI ones brackets, semicolons and `<...>`), so it ends at white
    space, before the next identifier of a list, or at a bracket that closes what opened before it.
    """
    for _ in range(_ESCAPED_TWICE):
        text = html.unescape(text) if "&" in text else text
    text = _BACKSLASHED.sub(r"\1", text) if "\\" in text else text
    text = text if text.isascii() else text.translate(_UNSEEN)
    text = _IN_BRACKETS.sub(" ", text) if "[" in text else text
    match = _DOI.search(text)
    if match is None:
        return None
    found = _NEXT.split(match[0], maxsplit=1)[0]
    before = text[: match.start()]
    if address := _ADDRESS.search(before):
        found = re.split(r"[?#&]" if "?" in before else r"[?#]", found, maxsplit=1)[0]
        if not _RESOLVER.search(address[0]):
            found = _PREPRINT.sub(r"\1", _PAGE.sub("", found))
    if _ESCAPE.search(found):
        found = next(iter(unquote(found).translate(_UNSEEN).split()))
    found = _TAG.split(found, maxsplit=1)[0]
    for place, sign in enumerate(found):
        opening = _OPENING.get(sign, "")
        if opening and found.count(sign, 0, place) >= found.count(opening, 0, place):
            found = found[:place]
            break
    found = found.rstrip(_ENDINGS)
    return found if found.partition("/")[2] else None


def listed(text: str) -> Iterator[str]:
    """Yield the parts of a list of identifiers, between white space, commas, semicolons and bars;
    a DOI keeps those that it holds."""
    for word in text.split():
        while word:
            match = _DOI.search(word)
            first = re.search(r"[;,|]+", word)
            if first and (not match or first.start() < match.start()):
                end, start = first.span()
            else:
                between = _NEXT.search(word, match.start() if match else 0)
                end, start = between.span() if between else (len(word), len(word))
            if end:
                yield word[:end]
            word = word[start:]


def same_doi(doi: str) -> str:
    """A DOI in the form in which equal ones are equal: DOIs do not distinguish case."""
    return doi.casefold()


def pmid_of(text: str) -> str | None:
    """A PMID written alone ("123", "PMID: 123"), or None."""
    match = _PMID.fullmatch(text.strip())
    return match[1] if match else None


def reference_of(pmid: str | None, doi: str | None) -> str:
    """A cited work as `references` has it: its PMID, else its DOI in the form of `same_doi`, else
    empty."""
    if pmid and (number := pmid_of(pmid)):
        return number
    named = doi_of(doi) if doi else None
    return same_doi(named) if named else ""


def pmcid_of(text: str) -> str | None:
    """A PMC id ("PMC123", "pmc123.1", "PMCID: PMC123"), with its prefix, or None."""
    match = _PMCID.fullmatch(text.strip())
    return f"PMC{match[1]}" if match else None


def pmids_in(text: str) -> list[str]:
    """The PMIDs that `text` names as such ("PMID: 123", "123 [pmid]", an address of PubMed)."""
    found = (next(filter(None, match.groups())) for match in _NAMED_PMID.finditer(text))
    return list(dict.fromkeys(found))


def pmcid_in(text: str) -> str | None:
    """The first PMC id within `text`, also of an address, or None."""
    match = _NAMED_PMCID.search(text)
    return f"PMC{match[1]}" if match else None


def _own_part(note: str) -> str:
    """What identifies the record itself within one of its notes, extras or custom fields.

    An identifier there is the record's own only if nothing before it may point to another work: it
    stands at the beginning, behind its label ("PMID: 123"), or behind statements with keys that are
    not of works ("Publisher: Foo"). Any other text before it is of what it names. EndNote's notes
    of PubMed's records, which begin with the ISSN, cite the record.
    """
    note = _OTHER_WORKS.split(_MERGED.sub("", note[:_LONGEST_NOTE]), maxsplit=1)[0]
    if _ISSN.match(note):
        return note
    kept: list[str] = []
    for statement in _NEXT_STATEMENT.split(note):
        end = 0
        while found := _LABELLED.match(statement, end):
            end = found.end()
        keyed = _KEYED.match(statement)
        if end:
            kept.append(statement[:end])
            if any(map(str.isalnum, statement[end:])):
                break
        elif not _IDLE.fullmatch(statement) and (not keyed or _OTHER_KEY.search(keyed[0])):
            break
    return " ".join(kept)


def noted_identifiers(notes: Iterable[str]) -> dict[str, str | None]:
    """DOI, PMID and PMC id of a record as its notes name them (`_own_part`), each only where they
    name one."""
    parts = list(filter(None, map(_own_part, notes)))
    dois = {same_doi(doi): doi for part in parts for doi in _dois_in(part)}
    pmids = dict.fromkeys(pmid for part in parts for pmid in pmids_in(part))
    pmcids = dict.fromkeys(f"PMC{one}" for part in parts for one in _NAMED_PMCID.findall(part))
    found = {"doi": list(dois.values()), "pmid": list(pmids), "pmcid": list(pmcids)}
    return {name: some[0] if len(some) == 1 else None for name, some in found.items()}


def _dois_in(text: str) -> Iterator[str]:
    at = 0
    while match := _DOI.search(text, at):
        # What is before it tells an address.
        before = text[: match.start()].rpartition(" ")[2]
        if doi := doi_of(before + text[match.start() :]):
            yield doi
        at = match.end()


def eric_of(text: str) -> str | None:
    """The first number of ERIC within `text` ("EJ123456"), or None."""
    match = _ERIC.search(text)
    return match[0] if match else None


def trials_of(text: str) -> list[str]:
    """The registration numbers of trials within `text`, each once, in the registries' writing."""
    found = (match[0] for match in _TRIAL.finditer(text))
    return list(dict.fromkeys(map(_registry_writing, found)))


def _registry_writing(number: str) -> str:
    for name in _REGISTRIES:
        if number.casefold().startswith(name.casefold()):
            return name + number[len(name) :].upper()
    return (
        number.lower().replace("rbr", "RBR") if number[:4] in ("RBR-", "rbr-") else number.upper()
    )


def identifiers_of(text: str) -> dict[str, str]:
    """What a text names if it is one identifier and nothing else: `pmid`, `pmcid`, `doi` (in the
    form of `same_doi`) or `trial`; empty for any other text."""
    text = text.strip()
    if pmid := pmid_of(text):
        return {"pmid": pmid}
    if pmcid := pmcid_of(text):
        return {"pmcid": pmcid}
    if _TRIAL.fullmatch(text):
        return {"trial": trials_of(text)[0]}
    alone = re.sub(r"^doi\s*:?\s+", "", text, flags=re.IGNORECASE)
    doi = None if len(alone.split()) != 1 else doi_of(alone)
    if doi and _DOI.search(alone) and alone.casefold().endswith(same_doi(doi)):
        return {"doi": same_doi(doi)}
    return {}


def is_counter(identifier: str) -> bool:
    """Whether an identifier only counts the records of one export."""
    return _COUNTER.fullmatch(identifier) is not None


def identify(
    fields: Mapping[str, Any], title: str, text: str = "", accession: str = "", database: str = ""
) -> str:
    """The id of a bibliographic record, by the rule of this module.

    fields: its metadata, of which `pmid`, `pmcid`, `doi`, `authors`, `journal`, `year`, `volume`,
    `issue` and `pages` are read; accession: its number in `database`, or its trial number if it is
    a registration.
    """
    accession = " ".join(accession.split()).strip(".,;: ")
    eric = accession if _ERIC.fullmatch(accession) else ""
    doi = fields.get("doi")
    known = fields.get("pmid") or fields.get("pmcid") or eric or (doi and same_doi(doi))
    if known and len(str(known)) <= MAX_ID_LENGTH:
        return str(known)
    trials = trials_of(accession)
    if len(trials) == 1 and _TRIAL.fullmatch(accession):
        return trials[0]
    # The same digits are other records in other databases.
    own = f"{database.strip()}:{accession}" if accession.isdigit() else accession
    is_number = any(map(str.isdigit, accession)) and not is_counter(accession)
    if is_number and not own.startswith(":") and len(own) <= MAX_ID_LENGTH:
        return own
    return made_identifier(fields, title, text)


def shelf_keys(document: Document) -> tuple[str, ...]:
    """The keys by which a shelf finds a document: `pmid:`, `doi:` and `text:` with the hash of its
    content, as far as they are known. A title alone may be that of other works."""
    pmid = pmid_of(str(document.metadata.get("pmid") or ""))
    doi = doi_of(str(document.metadata.get("doi") or ""))
    keys = [f"pmid:{pmid}"] if pmid else []
    keys += [f"doi:{same_doi(doi)}"] if doi else []
    if document.text.strip() or (document.title.strip() and not keys):
        keys.append(f"text:{document.content_hash().hex()}")
    return tuple(keys)


def made_identifier(fields: Mapping[str, Any], title: str, text: str = "") -> str:
    """`made:` and a hash of title, year, first author, journal or book, volume, issue and first
    page, and of the text where no page is known: replies and letters share all else. Equal on every
    machine and in every export, until one of them is corrected."""
    title, text = _letters(title), " ".join(text.split())
    authors = fields.get("authors") or fields.get("editors") or [""]
    page = str(fields.get("pages") or "").partition("-")[0]
    container = fields.get("journal") or fields.get("book")
    where = [str(one or "") for one in (container, fields.get("volume"), fields.get("issue"))]
    parts = [_letters(str(authors[0])), *map(_letters, where), _letters(page)]
    if not parts[-1] or len(title) < _LEAST_TITLE:
        parts.append(text)
    digest = hashlib.blake2b(digest_size=10)
    for part in (title, str(fields.get("year") or ""), *parts):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return f"made:{digest.hexdigest()}"


def _letters(text: str) -> str:
    """Letters and digits without case and accents, so that points and dashes do not count."""
    return "".join(char for char in fold(text) if char.isalnum())
