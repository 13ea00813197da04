"""A local server that speaks as PubMed, Europe PMC, arXiv and the archives do, with our own texts.

`World` says what is out there and what goes wrong: a fault waits for the next request whose path
begins with its prefix. Run as a script, it serves until it is ended and prints the variables that
lead the program to it.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import hashlib
import io
import json
import sys
import threading
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FIRST_DAY = date(2026, 1, 1)
REACH = 9_999
SUBJECTS = ("herons", "moss", "bees", "tides", "owls", "lichen", "salmon", "clover")


@dataclass(frozen=True)
class Fault:
    """What happens to one request. kind: busy (429), fail (500), cut (after `number` bytes of the
    body), drip (a byte at a time), page (a web page), bomb (gzip), lead (a redirect to `text`),
    say (`number` as status, `text` as body)."""

    kind: str
    number: int = 0
    text: str = ""


@dataclass
class World:
    """articles: how many records there are, of which number i entered `days` before the last day
    in turn; key: the only API key that is taken; files: by path, bytes of the archives."""

    articles: int = 450
    a_day: int = 100
    last_day: date = date(2026, 6, 30)
    key: str | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    histories: dict[str, tuple[date, date]] = field(default_factory=dict)
    asked: list[tuple[float, str, dict[str, str]]] = field(default_factory=list)
    """(time, path, parameters and headers) of every request, in turn."""
    sent: int = 0
    broken_from: int | None = None
    """Records of PubMed from this one on are not given."""
    silent_from: int | None = None
    """Records of PubMed from this one on come a byte at a time, which takes hours."""

    def day_of(self, number: int) -> date:
        return self.last_day - timedelta(days=number // self.a_day)

    def found(self, query: str, first: date, last: date) -> list[int]:
        """Numbers of the records, newest first."""
        if "nothing" in query:
            return []
        return [n for n in range(self.articles) if first <= self.day_of(n) <= last]

    def silent(self, start: int) -> bool:
        return self.silent_from is not None and start >= self.silent_from

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


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def article_xml(number: int, day: date) -> str:
    return (
        f'<PubmedArticle><MedlineCitation><PMID Version="1">{pmid_of(number)}</PMID><Article>'
        f"<Journal><JournalIssue><PubDate><Year>{day.year}</Year></PubDate></JournalIssue>"
        f"<Title>Annals of Ponds</Title></Journal>"
        f"<ArticleTitle>{escaped(title_of(number))}</ArticleTitle><Abstract><AbstractText>"
        f"{escaped(text_of(number))}</AbstractText></Abstract><AuthorList><Author><LastName>Reed"
        "</LastName><Initials>A</Initials></Author></AuthorList></Article></MedlineCitation>"
        f'<PubmedData><ArticleIdList><ArticleId IdType="doi">10.5555/pond.{number}</ArticleId>'
        "</ArticleIdList></PubmedData></PubmedArticle>"
    )


def article_set(numbers: list[int], world: World) -> bytes:
    records = "".join(article_xml(n, world.day_of(n)) for n in numbers)
    return (
        '<?xml version="1.0" ?>\n<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, '
        '1st January 2026//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_260101.dtd">\n'
        f"<PubmedArticleSet>{records}</PubmedArticleSet>"
    ).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World
    lock: threading.Lock

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        posted = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        given = {k: v[-1] for k, v in parse_qs(f"{parts.query}&{posted}").items()}
        path = parts.path
        with self.lock:
            heard = {**{k.lower(): v for k, v in self.headers.items()}, **given}
            self.world.asked.append((time.monotonic(), path, heard))
            fault = next((f for f in self.world.faults if path.startswith(f[0])), None)
            if fault is not None:
                self.world.faults.remove(fault)
            if path == "/efetch.fcgi" and self.world.silent(int(given.get("retstart", 0))):
                fault = ("", Fault("drip"))
        status, kind, body = self.answer(path, given)
        with contextlib.suppress(OSError):
            self.send(status, kind, body, fault[1] if fault else None)

    def do_POST(self) -> None:
        self.do_GET()

    def answer(self, path: str, given: dict[str, str]) -> tuple[int, str, bytes]:
        world = self.world
        if (
            path.endswith((".fcgi",))
            and world.key
            and given.get("api_key") not in (None, world.key)
        ):
            said = {"error": "API key invalid", "api-key": given["api_key"], "type": "api"}
            return 400, "application/json", json.dumps(said).encode()
        if path == "/esearch.fcgi":
            return 200, "application/json", self.esearch(given)
        if path == "/efetch.fcgi":
            return self.efetch(given)
        if path == "/search":
            return 200, "application/json", self.europepmc(given)
        if path == "/query":
            return 200, "application/atom+xml", self.arxiv(given)
        if path in world.files:
            return 200, "application/octet-stream", world.files[path]
        below = sorted(name for name in world.files if name.startswith(path) and path.endswith("/"))
        if below:
            rows = "".join(
                f'<a href="{name.rpartition("/")[2]}">{name.rpartition("/")[2]}</a>'
                f"  2026-01-10 12:00  {max(1, len(world.files[name]) // 1024)}K\n"
                for name in below
            )
            return (
                200,
                "text/html",
                f"<html><pre><a href='../'>..</a>\n{rows}</pre></html>".encode(),
            )
        return 404, "text/plain", b"nothing here"

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
        return json.dumps({"header": {}, "esearchresult": found}).encode()

    def efetch(self, given: dict[str, str]) -> tuple[int, str, bytes]:
        world = self.world
        if "id" in given:
            numbers = [40_000_000 - int(name) for name in given["id"].split(",")]
            known = [n for n in numbers if 0 <= n < world.articles]
            return 200, "text/xml", article_set(known, world)
        span = world.histories.get(given["WebEnv"])
        start = int(given["retstart"])
        if span is None or start + int(given["retmax"]) > REACH:
            said = b"<eFetchResult><ERROR>Unable to obtain query #1</ERROR></eFetchResult>"
            return 400, "text/xml", said
        if world.broken_from is not None and start >= world.broken_from:
            return 404, "text/plain", b"gone"
        found = world.found("", *span)[start : start + int(given["retmax"])]
        return 200, "text/xml", article_set(found, world)

    # Europe PMC ---------------------------------------------------------------------------

    def europepmc(self, given: dict[str, str]) -> bytes:
        world, query = self.world, given["query"]
        numbers = world.found(query, date(1, 1, 1), world.last_day)
        if "10.5555/" in query or "PMCID:" in query:
            numbers = [n for n in numbers if f'"10.5555/pond.{n}"' in query.lower()]
        at = 0 if given["cursorMark"] == "*" else int(given["cursorMark"])
        page = numbers[at : at + int(given["pageSize"])]
        following = str(at + len(page)) if page else given["cursorMark"]
        results = [
            {
                "id": str(pmid_of(n)),
                "source": "MED",
                "pmid": str(pmid_of(n)),
                "doi": f"10.5555/pond.{n}",
                "title": title_of(n),
                "abstractText": escaped(text_of(n)),
                "authorString": "Reed A.",
                "pubYear": "2026",
            }
            for n in page
        ]
        return json.dumps(
            {
                "version": "6.9",
                "hitCount": len(numbers),
                "nextCursorMark": following,
                "resultList": {"result": results},
            }
        ).encode()

    # arXiv --------------------------------------------------------------------------------

    def arxiv(self, given: dict[str, str]) -> bytes:
        if "id_list" in given:
            names = [name for name in given["id_list"].split(",") if name.startswith("26")]
            total = len(names)
        else:
            count = len(self.world.found(given["search_query"], date(1, 1, 1), self.world.last_day))
            start, most = int(given["start"]), int(given["max_results"])
            names = [f"2601.{n:05}" for n in range(start, min(count, start + most))]
            total = count
        entries = "".join(
            f"<entry><id>http://arxiv.org/abs/{name}v2</id><title>{title_of(int(name[5:]))}</title>"
            f"<summary>{escaped(text_of(int(name[5:])))}</summary>"
            "<published>2026-01-02T00:00:00Z</published><updated>2026-01-03T00:00:00Z</updated>"
            '<author><name>Ann Reed</name></author><category term="cs.IR"/></entry>'
            for name in names
        )
        return (
            '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom" '
            'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/"><opensearch:totalResults>'
            f"{total}</opensearch:totalResults>{entries}</feed>"
        ).encode()

    # Sending, and what goes wrong with it -----------------------------------------------------

    def send(self, status: int, kind: str, body: bytes, fault: Fault | None) -> None:
        headers: dict[str, str] = {}
        if fault is not None and fault.kind in ("busy", "fail"):
            status = 429 if fault.kind == "busy" else 500
            body = b"no"
            if fault.number:
                headers["Retry-After"] = str(fault.number)
        elif fault is not None and fault.kind == "page":
            status, kind, body = 200, "text/html", b"<html>Please sign in</html>"
        elif fault is not None and fault.kind == "say":
            status, body = fault.number, fault.text.encode()
        elif fault is not None and fault.kind == "lead":
            status, body, headers["Location"] = 302, b"", fault.text
        elif fault is not None and fault.kind == "bomb":
            body, headers["Content-Encoding"] = bomb(), "gzip"
        asked = self.headers.get("Range", "")
        if status == 200 and asked.startswith("bytes="):
            start = int(asked[6:].rstrip("-"))
            if start >= len(body):
                status, body = 416, b""
            else:
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                status, body = 206, body[start:]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault is not None and fault.kind == "cut":
            body = body[: fault.number]
            self.close_connection = True
        if fault is not None and fault.kind == "drip":
            for byte in body:
                self.wfile.write(bytes([byte]))
                time.sleep(0.05)
        with self.lock:
            self.world.sent += len(body)
        self.wfile.write(body)


@functools.cache
def bomb() -> bytes:
    """Two hundred megabytes of nothing in two hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(200)), packer.flush()])


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
        numbers = list(range(number * records, (number + 1) * records))
        data = gzip.compress(article_set(numbers, world), mtime=0)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        found[name] = data
        found[f"{name}.md5"] = f"MD5({name.rpartition('/')[2]})= {digest}\n".encode()
    return found


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Print what goes wrong here, but for a client that was ended: that is none of it."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*_)


@contextmanager
def serving(world: World, port: int = 0) -> Iterator[str]:
    """Serve `world` on this machine; gives its address without a slash at the end."""
    handler = type("Handler", (Handler,), {"world": world, "lock": threading.Lock()})
    server = Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def variables(address: str) -> dict[str, str]:
    """What leads the program to this server."""
    names = ("NCBI", "EUROPEPMC", "ARXIV", "BASELINE", "BEIR")
    return {f"BIORETRIEVAL_{name}_URL": address for name in names}


if __name__ == "__main__":
    shown = World(articles=int(sys.argv[1]) if len(sys.argv) > 1 else 450)
    shown.files = {**archive_files(shown), "/nfcorpus.zip": zipped(benchmark_files("nfcorpus"))}
    with serving(shown, int(sys.argv[2]) if len(sys.argv) > 2 else 0) as base:
        # In one piece: whoever finds something in the file finds all of it.
        print("\n".join(f"export {n}={v}" for n, v in variables(base).items()), flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
