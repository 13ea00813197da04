"""A local server that speaks as PubMed, Europe PMC, arXiv, the model hub and the archives do, with
our own texts; it also has pages for links.

`World` says what is out there and what goes wrong. Run as a script, it serves until it is ended and
prints the variables that lead the program to it.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import json
import ssl
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

SUBJECTS = ("herons", "moss", "bees", "tides", "owls", "lichen", "salmon", "clover")
ATOM = "http://www.w3.org/2005/Atom"


@dataclass(frozen=True)
class Fault:
    """What happens to a request. kind: busy (429, Retry-After `number`), fail (500), cut (after
    `number` bytes of the body), hang (silent after so many), drip (a byte at a time), page (a web
    page), bomb (gzip), lead (a redirect to `text`), whole (a file from its first byte on), say
    (`number` as status, `text` as body)."""

    kind: str
    number: int = 0
    text: str = ""


@dataclass(frozen=True)
class Article:
    """A record of PubMed and Europe PMC; `day` is when it entered."""

    pmid: str
    title: str
    abstract: str
    day: date
    doi: str = ""


@dataclass
class World:
    """articles: how many records there are, of which number i entered `i // a_day` days before the
    last day; own: these records instead; papers: those of arXiv, id -> (version, title), by number
    if None; said: what PubMed says of every query beside its count; key: the only API key that is
    taken; files: by path, bytes of the archives;
    repositories: by API path, such as /api/models/ORG/NAME; renamed: path -> path; faults: each for
    the next request whose path begins with the prefix; broken: for all of them."""

    articles: int = 450
    a_day: int = 100
    last_day: date = date(2026, 6, 30)
    reach: int = 9_999
    """Records of one search of PubMed at most."""
    own: list[Article] | None = None
    papers: dict[str, tuple[int, str]] | None = None
    said: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    broken: dict[str, Fault] = field(default_factory=dict)
    histories: dict[str, tuple[date, date]] = field(default_factory=dict)
    asked: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    """(time, path, parameters and headers, with "address" and "status") of every request."""
    sent: int = 0
    broken_from: int | None = None
    """Records of PubMed from this one on are not given."""
    silent_from: int | None = None
    """Records of PubMed from this one on come a byte at a time, which takes hours."""

    def records(self) -> Sequence[Article]:
        """All records, newest first."""
        return _numbered(self.articles, self.a_day, self.last_day) if self.own is None else self.own

    def found(self, query: str, first: date = date.min, last: date = date.max) -> list[Article]:
        if "nothing" in query:
            return []
        return [one for one in self.records() if first <= one.day <= last]

    def paper(self, name: str) -> tuple[int, str] | None:
        if self.papers is not None:
            return self.papers.get(name)
        return (2, title_of(int(name[5:]))) if name.startswith("26") else None

    def times(self, prefix: str) -> list[float]:
        return [at for at, path, _ in self.asked if path.startswith(prefix)]

    def of(self, prefix: str) -> list[dict[str, str]]:
        return [given for _, path, given in self.asked if path.startswith(prefix)]


def pmid_of(number: int) -> int:
    return 40_000_000 - number


def title_of(number: int) -> str:
    return f"Note {number} on {SUBJECTS[number % 8]} and {SUBJECTS[number // 8 % 8]}"


def text_of(number: int) -> str:
    one, other = SUBJECTS[number % 8], SUBJECTS[number // 8 % 8]
    return f"We counted {one} near {other} for {number} days. There were more < 5 & fewer > 2."


@functools.lru_cache(4)
def _numbered(count: int, a_day: int, last_day: date) -> list[Article]:
    return [
        Article(
            str(pmid_of(number)),
            title_of(number),
            text_of(number),
            last_day - timedelta(days=number // a_day),
            f"10.5555/pond.{number}",
        )
        for number in range(count)
    ]


def article_xml(one: Article) -> str:
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{one.pmid}</PMID><Article>'
        f"<Journal><JournalIssue><PubDate><Year>{one.day.year}</Year></PubDate></JournalIssue>"
        f"<Title>Annals of Ponds</Title></Journal><ArticleTitle>{escape(one.title)}</ArticleTitle>"
        f"<Abstract><AbstractText>{escape(one.abstract)}</AbstractText></Abstract><AuthorList>"
        "<Author><LastName>Reed</LastName><Initials>A</Initials></Author></AuthorList></Article>"
        '</MedlineCitation><PubmedData><ArticleIdList><ArticleId IdType="doi">'
        f"{one.doi}</ArticleId></ArticleIdList></PubmedData></PubmedArticle>"
    )


def article_set(articles: Sequence[Article]) -> bytes:
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, '
        '1st January 2026//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_260101.dtd">\n'
        f"<PubmedArticleSet>{''.join(map(article_xml, articles))}</PubmedArticleSet>"
    ).encode()


Answer = tuple[int, str, bytes] | tuple[int, str, bytes, dict[str, str]]
"""Status, type, body, and further headers."""
JSON, TEXT = "application/json", "text/plain"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World
    lock: threading.Lock

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        parts, world = urlsplit(self.path), self.world
        posted = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = {k: v[-1] for k, v in parse_qs(f"{parts.query}&{posted}").items()}
        path = parts.path
        with self.lock:
            self.heard = {k.lower(): v for k, v in self.headers.items()} | given
            self.heard["address"] = self.path
            world.asked.append((time.monotonic(), path, self.heard))
            fault = next((one for one in world.faults if path.startswith(one[0])), None)
            if fault is not None:
                world.faults.remove(fault)
            broken = (how for prefix, how in world.broken.items() if path.startswith(prefix))
            how = fault[1] if fault is not None else next(broken, None)
            silent = float("inf") if world.silent_from is None else world.silent_from
            if path.endswith("/efetch.fcgi") and int(given.get("retstart", 0)) >= silent:
                how = Fault("drip")
        with contextlib.suppress(OSError):
            self.send(how, *self.answer(path, given))

    def do_POST(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def answer(self, path: str, given: dict[str, str]) -> Answer:
        world, name = self.world, path.rpartition("/")[2]
        api_key = given.get("api_key")
        if name.endswith(".fcgi") and world.key and api_key not in (None, world.key):
            said = {"error": "API key invalid", "api-key": api_key, "type": "api"}
            return 400, JSON, json.dumps(said).encode()
        if path in world.files:
            return self.tagged("application/octet-stream", world.files[path])
        if path.startswith(("/api/models/", "/api/datasets/")):
            return self.hub(path)
        if name == "esearch.fcgi":
            return 200, JSON, self.esearch(given)
        if name == "efetch.fcgi":
            return self.efetch(given)
        if name == "search":
            return 200, JSON, self.europepmc(given)
        if name == "query":
            return 200, "application/atom+xml", self.arxiv(given)
        below = [one for one in world.files if one.startswith(path) and path.endswith("/")]
        if below:
            rows = "".join(
                f'<a href="{one.rpartition("/")[2]}">{one.rpartition("/")[2]}</a>'
                f"  2026-01-10 12:00  {max(1, len(world.files[one]) // 1024)}K\n"
                for one in sorted(below)
            )
            page = f"<html><pre><a href='../'>..</a>\n{rows}</pre></html>"
            return 200, "text/html", page.encode()
        return self.page(path)

    # PubMed -------------------------------------------------------------------------------

    def esearch(self, given: dict[str, str]) -> bytes:
        if "((" in given["term"]:
            return b'{"esearchresult": {"ERROR": "Query syntax is wrong"}}'
        first, last = (date(*map(int, given[name].split("/"))) for name in ("mindate", "maxdate"))
        with self.lock:
            name = f"MCID_{len(self.world.histories)}"
            self.world.histories[name] = (first, last)
        count = len(self.world.found(given["term"], first, last))
        found = {"count": str(count), "querykey": "1", "webenv": name, "idlist": []}
        found |= self.world.said
        return json.dumps({"header": {}, "esearchresult": found}).encode()

    def efetch(self, given: dict[str, str]) -> Answer:
        world = self.world
        if "id" in given:
            wanted = set(given["id"].split(","))
            known = [one for one in world.records() if one.pmid in wanted]
            return 200, "text/xml", article_set(known)
        span = world.histories.get(given["WebEnv"])
        start, end = int(given["retstart"]), int(given["retstart"]) + int(given["retmax"])
        if span is None or end > world.reach:
            said = b"<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"
            return 400, "text/xml", said
        if world.broken_from is not None and start >= world.broken_from:
            return 404, TEXT, b"gone"
        return 200, "text/xml", article_set(world.found("", *span)[start:end])

    # Europe PMC ---------------------------------------------------------------------------

    def europepmc(self, given: dict[str, str]) -> bytes:
        query = given["query"]
        found = self.world.found(query)
        if "10.5555/" in query or "PMCID:" in query:
            found = [one for one in found if f'"{one.doi}"' in query.lower()]
        at = 0 if given["cursorMark"] == "*" else int(given["cursorMark"])
        page = found[at : at + int(given["pageSize"])]
        results = [
            {
                "id": one.pmid,
                "source": "MED",
                "pmid": one.pmid,
                "title": one.title,
                "abstractText": escape(one.abstract),
                "authorString": "Reed A.",
                "pubYear": str(one.day.year),
                **({"doi": one.doi} if one.doi else {}),
            }
            for one in page
        ]
        # Europe PMC repeats the cursor when there is nothing behind it.
        following = str(at + len(page)) if page else given["cursorMark"]
        answer = {"version": "6.9", "hitCount": len(found), "nextCursorMark": following}
        return json.dumps({**answer, "resultList": {"result": results}}).encode()

    # arXiv --------------------------------------------------------------------------------

    def arxiv(self, given: dict[str, str]) -> bytes:
        world = self.world
        if "id_list" in given:
            names = [name for name in given["id_list"].split(",") if world.paper(name)]
            total = len(names)
        else:
            start, most = int(given["start"]), int(given["max_results"])
            numbers = range(len(world.found(given["search_query"])))
            named = [f"2601.{n:05}" for n in numbers] if world.papers is None else world.papers
            total, names = len(named), list(named)[start : start + most]
        entries = "".join(
            f"<entry><id>http://arxiv.org/abs/{name}v{found[0]}</id><title>{escape(found[1])}"
            f"</title><summary>{escape(text_of(int(name[5:])))}</summary>"
            "<published>2026-01-02T00:00:00Z</published><updated>2026-01-03T00:00:00Z</updated>"
            '<author><name>Ann Reed</name></author><category term="cs.IR"/></entry>'
            for name in names
            if (found := world.paper(name))
        )
        return (
            f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="{ATOM}" '
            'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"><opensearch:totalResults>'
            f"{total}</opensearch:totalResults>{entries}</feed>"
        ).encode()

    # The hub, and pages for links -------------------------------------------------------------

    def hub(self, path: str) -> Answer:
        if path in self.world.renamed:
            return 307, JSON, b"", {"Location": self.world.renamed[path]}
        found = self.world.repositories.get(path)
        if found is None:
            return 401, JSON, b'{"error":"Invalid username or password."}'
        return self.tagged(JSON, json.dumps(found).encode())

    def tagged(self, kind: str, body: bytes) -> Answer:
        etag = f'W/"{zlib.crc32(body):x}"'
        if self.headers.get("If-None-Match") == etag:
            return 304, kind, b"", {"ETag": etag}
        return 200, kind, body, {"ETag": etag}

    def page(self, path: str) -> Answer:
        kind, _, rest = path.strip("/").partition("/")
        head = self.command == "HEAD"
        if kind == "page":
            return int(rest.split("/")[0]), "text/html", b"a page"
        if kind == "moved":
            return int(rest.split("/")[0]), "text/html", b"", {"Location": "/page/200/new"}
        if kind == "nohead":
            return 405 if head else 200, "text/html", b"a page"
        if kind == "huge":
            return 405 if head else 200, "text/html", bytes(0 if head else 50_000_000)
        return 404, TEXT, b"nothing here"

    # Sending, and what goes wrong with it -----------------------------------------------------

    def send(
        self,
        fault: Fault | None,
        status: int,
        kind: str,
        body: bytes,
        more: dict[str, str] | None = None,
    ) -> None:
        headers = {"Content-Type": kind, **(more or {})}
        match fault:
            case Fault("busy", number) | Fault("fail", number):
                status, body = 429 if fault.kind == "busy" else 500, b"no"
                headers |= {"Retry-After": str(number)} if number else {}
            case Fault("page"):
                status, body = 200, b"<html>Please sign in</html>"
            case Fault("say", number, text):
                status, body = number, text.encode()
            case Fault("lead", _, text):
                status, body, headers["Location"] = 302, b"", text
            case Fault("bomb"):
                body, headers["Content-Encoding"] = bomb(), "gzip"
        asked = self.headers.get("Range", "")
        if status == 200 and asked.startswith("bytes=") and fault != Fault("whole"):
            start = int(asked[6:].rstrip("-"))
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = (206, body[start:]) if start < len(body) else (416, b"")
        self.heard["status"] = str(status)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault is not None and fault.kind == "cut":
            body = body[: fault.number]
            self.close_connection = True
        if fault is not None and fault.kind == "hang":
            self.wfile.write(body[: fault.number])
            time.sleep(30)
        if fault is not None and fault.kind == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        with self.lock:
            self.world.sent += len(body)
        self.wfile.write(body)


@functools.cache
def bomb() -> bytes:
    """Sixty megabytes of nothing in sixty kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(60)), packer.flush()])


def zipped(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in files.items():
            out.writestr(name, content)
    return data.getvalue()


def benchmark_files(name: str) -> dict[str, bytes]:
    """A benchmark in BEIR's form, below a folder, as its archives are."""

    def lines(rows: list[dict[str, str]]) -> bytes:
        return "".join(json.dumps(row) + "\n" for row in rows).encode()

    corpus = [{"_id": f"d{n}", "title": title_of(n), "text": text_of(n)} for n in range(40)]
    queries = [{"_id": f"q{n}", "text": title_of(n)} for n in range(5)]
    qrels = "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(5))
    return {
        f"{name}/corpus.jsonl": lines(corpus),
        f"{name}/queries.jsonl": lines(queries),
        f"{name}/qrels/test.tsv": qrels.encode(),
    }


def archive_files(world: World, files: int = 3, records: int = 50) -> dict[str, bytes]:
    """Baseline and update files with their MD5s, by path."""
    found: dict[str, bytes] = {}
    for number in range(files):
        folder = "baseline" if number < files - 1 else "updatefiles"
        name = f"/{folder}/pubmed26n{number + 1:04}.xml.gz"
        some = world.records()[number * records : (number + 1) * records]
        data = gzip.compress(article_set(some), mtime=0)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        found[name] = data
        found[f"{name}.md5"] = f"MD5({name.rpartition('/')[2]})= {digest}\n".encode()
    return found


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print what goes wrong here, but for a client that was ended or trusts no certificate."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(*_)


@contextmanager
def serving(world: World, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve `world` on this machine; gives its address without a slash at the end."""
    handler = type("Handler", (Handler,), {"world": world, "lock": threading.Lock()})
    server = Server(("127.0.0.1", port), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        scheme = "http://127.0.0.1" if tls is None else "https://localhost"
        yield f"{scheme}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def variables(address: str) -> dict[str, str]:
    """What leads the program to this server."""
    names = ("NCBI", "EUROPEPMC", "ARXIV", "BASELINE", "BEIR", "HUB", "MEDCPT", "MESH")
    return {f"BIORETRIEVAL_{name}_URL": address for name in names}


if __name__ == "__main__":
    shown = World(articles=int(sys.argv[1]) if len(sys.argv) > 1 else 450)
    shown.files = {**archive_files(shown), "/nfcorpus.zip": zipped(benchmark_files("nfcorpus"))}
    with serving(shown, int(sys.argv[2]) if len(sys.argv) > 2 else 0) as base:
        # In one piece: whoever finds something in the file finds all of it.
        print("\n".join(f"export {n}={v}" for n, v in variables(base).items()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
