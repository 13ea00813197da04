"""Types of works in one form, in PubMed's words where it has them, whatever an exporter writes."""

from __future__ import annotations

_NAMES = {
    "Journal Article": "article articlejournal journalarticle journal electronicarticle"
    " journalelectronic originalarticle researcharticle",
    "Magazine Article": "magazinearticle articlemagazine",
    "Newspaper Article": "newspaperarticle articlenewspaper",
    "Book": "book bookwhole wholebook monograph electronicbook ebook editedbook bookedited"
    " referencebook",
    "Book Chapter": "chapter bookchapter booksection booksectionchapter electronicbooksection"
    " encyclopediaarticle dictionaryentry entry entrydictionary entryencyclopedia referenceentry"
    " referenceworkentry chapterreferenceworkentry",
    "Conference Paper": "conferencepaper paperconference proceedingsarticle proceedingspaper"
    " proceeding proceedings conferenceproceedingsarticle conferencearticle",
    "Thesis": "thesis dissertation phdthesis doctoralthesis mastersthesis dissertationthesis",
    "Preprint": "preprint postedcontent unpublishedwork",
    "Report": "report techreport technicalreport governmentdocument",
    "Dataset": "dataset",
    "Patent": "patent",
    "Webpage": "webpage post",
    "Blog": "postweblog blogpost",
    "Review": "review reviewarticle",
    "Book Review": "reviewbook bookreview",
    "Legislation": "legislation",
    "Bill": "bill",
    "": "document generic component other miscellaneous motionpicture personalcommunication",
}
_TYPES = {name: words for words, names in _NAMES.items() for name in names.split()}
WITHIN_BOOKS = frozenset({"Book Chapter", "Conference Paper", "Conference Proceedings"})
"""Types of works whose container is a book."""


def type_of(written: str) -> str:
    """The type that an exporter's word ("bookSection", "Book chapter") stands for; "" if it says
    nothing; another one as it is."""
    key = "".join(filter(str.isalpha, written.casefold()))
    return _TYPES.get(key, written)
