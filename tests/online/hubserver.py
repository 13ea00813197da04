"""A local server that speaks as the model hub, arXiv and PubMed do, with texts of our own.

What it answers is decided by the `World` that a test changes between calls. It also has pages for
links: `/page/STATUS`, `/moved/STATUS/...` and one that hates HEAD.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

ATOM = "http://www.w3.org/2005/Atom"


@dataclass
class Article:
    """A record of PubMed; `day` is when it entered."""

    pmid: str
    title: str
    abstract: str
    day: date


@dataclass
class World:
    """What is out there. repositories: by API path, such as /api/models/ORG/NAME; renamed: path ->
    path; papers: arXiv id -> (version, title); broken: prefixes of paths that fail, with how."""

    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    papers: dict[str, tuple[int, str]] = field(default_factory=dict)
    articles: list[Article] = field(default_factory=list)
    broken: dict[str, int | str] = field(default_factory=dict)
    today: date | None = None
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """(method, path with query, status) of every request, in turn."""

    def paths(self, prefix: str) -> list[str]:
        """The requests whose path begins so."""
        return [path for _, path, _ in self.asked if path.startswith(prefix)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World
    lock: threading.Lock

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        posted = self.rfile.read(length).decode() if length else ""
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query or posted).items()}
        for prefix, how in self.world.broken.items():
            if parts.path.startswith(prefix):
                if isinstance(how, int):
                    return self._send(how, b"broken", "text/plain")
                return self._send(200, how.encode(), "text/html")
        if parts.path.startswith("/api/models/") or parts.path.startswith("/api/datasets/"):
            return self._hub(parts.path)
        if parts.path == "/api/query":
            return self._arxiv(query)
        if parts.path == "/europepmc/search":
            return self._europepmc(query)
        if parts.path.endswith(("esearch.fcgi", "efetch.fcgi")):
            return self._pubmed(parts.path, query)
        return self._page(parts.path)

    # The hub ------------------------------------------------------------------------------

    def _hub(self, path: str) -> None:
        if path in self.world.renamed:
            return self._send(307, b"", headers={"Location": self.world.renamed[path]})
        found = self.world.repositories.get(path)
        if found is None:
            return self._send(401, b'{"error":"Invalid username or password."}')
        body = json.dumps(found).encode()
        etag = f'W/"{hash(body) & 0xFFFFFFFF:x}"'
        if self.headers.get("If-None-Match") == etag:
            return self._send(304, b"", headers={"ETag": etag})
        return self._send(200, body, headers={"ETag": etag})

    # arXiv --------------------------------------------------------------------------------

    def _arxiv(self, query: dict[str, str]) -> None:
        names = [name for name in query.get("id_list", "").split(",") if name in self.world.papers]
        if "search_query" in query:
            start, most = int(query["start"]), int(query["max_results"])
            names = sorted(self.world.papers, reverse=True)[start : start + most]
        entries = "".join(self._paper(name) for name in names)
        total = len(self.world.papers) if "search_query" in query else len(names)
        feed = (
            f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="{ATOM}"'
            ' xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">'
            f"<opensearch:totalResults>{total}</opensearch:totalResults>{entries}</feed>"
        )
        return self._send(200, feed.encode(), "application/atom+xml")

    def _paper(self, name: str) -> str:
        version, title = self.world.papers[name]
        return (
            f"<entry><id>http://arxiv.org/abs/{name}v{version}</id><title>{escape(title)}</title>"
            "<published>2024-01-02T00:00:00Z</published><updated>2024-01-03T00:00:00Z</updated>"
            "<summary>We rank birds. It works.</summary><author><name>Ann Bee</name></author>"
            '<category term="cs.IR"/></entry>'
        )

    # Europe PMC ---------------------------------------------------------------------------

    def _europepmc(self, query: dict[str, str]) -> None:
        """Pages behind a cursor, which is the place of the next record."""
        cursor, size = query["cursorMark"], int(query["pageSize"])
        start = 0 if cursor == "*" else int(cursor)
        found = self._present()
        page = found[start : start + size]
        results = [
            {
                "id": one.pmid,
                "source": "MED",
                "pmid": one.pmid,
                "title": one.title,
                "abstractText": one.abstract,
                "pubYear": str(one.day.year),
            }
            for one in page
        ]
        answer: dict[str, Any] = {"hitCount": len(found), "resultList": {"result": results}}
        # Europe PMC repeats the cursor when there is nothing behind it.
        answer["nextCursorMark"] = str(start + len(page)) if page else cursor
        return self._send(200, json.dumps(answer).encode())

    # PubMed -------------------------------------------------------------------------------

    def _pubmed(self, path: str, query: dict[str, str]) -> None:
        if path.endswith("esearch.fcgi"):
            first, last = _day(query.get("mindate")), _day(query.get("maxdate"))
            found = [
                one
                for one in self._present()
                if (first is None or one.day >= first) and (last is None or one.day <= last)
            ]
            start, most = int(query.get("retstart", 0)), int(query.get("retmax", 20))
            names = [one.pmid for one in found]
            self.world.found = names  # type: ignore[attr-defined]
            answer = {
                "esearchresult": {
                    "count": str(len(names)),
                    "retmax": str(most),
                    "retstart": str(start),
                    "querykey": "1",
                    "webenv": "HISTORY",
                    "idlist": names[start : start + most],
                }
            }
            return self._send(200, json.dumps(answer).encode())
        if "id" in query:
            wanted = query["id"].split(",")
        else:
            start, most = int(query.get("retstart", 0)), int(query.get("retmax", 20))
            wanted = getattr(self.world, "found", [])[start : start + most]
        articles = "".join(_article(one) for one in self.world.articles if one.pmid in wanted)
        body = (
            '<?xml version="1.0" ?><!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle,'
            ' 1st January 2025//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_250101.dtd">'
            f"<PubmedArticleSet>{articles}</PubmedArticleSet>"
        )
        return self._send(200, body.encode(), "text/xml")

    def _present(self) -> list[Article]:
        today = self.world.today
        return [one for one in self.world.articles if today is None or one.day <= today]

    # Pages --------------------------------------------------------------------------------

    def _page(self, path: str) -> None:
        kind, _, rest = path.strip("/").partition("/")
        if kind == "page":
            return self._send(int(rest.split("/")[0]), b"a page", "text/html")
        if kind == "moved":
            return self._send(int(rest.split("/")[0]), b"", headers={"Location": "/page/200/new"})
        if kind == "nohead":
            return self._send(405 if self.command == "HEAD" else 200, b"a page", "text/html")
        if kind == "huge":
            return self._huge()
        return self._send(404, b"nothing here", "text/plain")

    def _huge(self) -> None:
        """A page of 200 MB that answers no HEAD."""
        if self.command == "HEAD":
            return self._send(405, b"")
        self.send_response(200)
        self.send_header("Content-Length", str(200_000_000))
        self.end_headers()
        with self.lock:
            self.world.asked.append((self.command, self.path, 200))
        try:
            for _ in range(200):
                self.wfile.write(b"x" * 1_000_000)
        except OSError:
            self.close_connection = True
        return None

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
    ) -> None:
        with self.lock:
            self.world.asked.append((self.command, self.path, status))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 304:
            self.wfile.write(body)


def _article(one: Article) -> str:
    return (
        f"<PubmedArticle><MedlineCitation><PMID>{one.pmid}</PMID><Article><Journal><Title>Acta"
        f"</Title><JournalIssue><PubDate><Year>{one.day.year}</Year></PubDate></JournalIssue>"
        f"</Journal><ArticleTitle>{escape(one.title)}</ArticleTitle><Abstract><AbstractText>"
        f"{escape(one.abstract)}</AbstractText></Abstract><AuthorList><Author><LastName>Bee"
        "</LastName><ForeName>Ann</ForeName><Initials>A</Initials></Author></AuthorList></Article>"
        "</MedlineCitation></PubmedArticle>"
    )


def _day(text: str | None) -> date | None:
    return date(*map(int, text.replace("-", "/").split("/"))) if text else None


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: Any) -> None:
        """Whoever is asked only for a head goes away in the middle: that is no error here."""


@contextmanager
def serving(world: World) -> Iterator[str]:
    """Serve `world` on a port of this machine; gives its address without a slash at the end."""
    handler = type("Handler", (_Handler,), {"world": world, "lock": threading.Lock()})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
