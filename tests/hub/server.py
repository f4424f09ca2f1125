"""A hub of our own on the loopback: enough of its protocol for models and data sets.

Repositories are folders; ``commit`` is what every branch points to. Faults can be switched on.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """``repositories``: "models/owner/name" or "datasets/owner/name" -> folder."""

    repositories: dict[str, Path] = field(default_factory=dict)
    commit: str = "a" * 40
    closed: set[str] = field(default_factory=set)
    break_once: bool = False
    requests: list[str] = field(default_factory=list)
    address: str = ""

    def repository(self, path: str) -> tuple[str, str] | None:
        """("models/owner/name", what follows) of a request's path."""
        parts = path.strip("/").split("/")
        if parts[0] == "api":
            kind, rest = parts[1], parts[2:]
        elif parts[0] == "datasets":
            kind, rest = "datasets", parts[1:]
        else:
            kind, rest = "models", parts
        name = f"{kind}/{'/'.join(rest[:2])}"
        return (name, "/".join(rest[2:])) if len(rest) >= 2 else None


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        found = self.hub.repository(path)
        if found is None or found[0] not in self.hub.repositories:
            self.refuse(404, "RepoNotFound", "Repository not found")
        elif found[0] in self.hub.closed:
            self.refuse(403, "GatedRepo", "Access to this repository is restricted")
        elif found[1].startswith("revision/"):
            self.info(found[0], found[1].removeprefix("revision/"))
        elif found[1].startswith("tree/"):
            self.tree(self.hub.repositories[found[0]])
        elif found[1].startswith("resolve/"):
            self.file(self.hub.repositories[found[0]], found[1].removeprefix("resolve/"), body)
        else:
            self.info(found[0], "main")

    def info(self, name: str, revision: str) -> None:
        if revision not in ("main", self.hub.commit, "refs/convert/parquet"):
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
            return
        folder = self.hub.repositories[name]
        files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
        siblings = [
            {"rfilename": p.relative_to(folder).as_posix(), "size": p.stat().st_size} for p in files
        ]
        repository = name.split("/", 1)[1]
        content = {"id": repository, "sha": self.hub.commit, "siblings": siblings, "tags": []}
        self.send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def tree(self, folder: Path) -> None:
        files = [
            {
                "type": "file",
                "path": path.relative_to(folder).as_posix(),
                "size": path.stat().st_size,
                "oid": hashlib.sha1(path.read_bytes()).hexdigest(),
            }
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        self.send(200, json.dumps(files).encode(), {"Content-Type": "application/json"})

    def file(self, folder: Path, rest: str, body: bool) -> None:
        revision, _, name = rest.partition("/")
        path = folder / name
        if revision not in ("main", self.hub.commit):
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
            return
        if not path.is_file():
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        content = path.read_bytes()
        headers = {
            "ETag": f'"{hashlib.sha1(content).hexdigest()}"',
            "X-Repo-Commit": self.hub.commit,
            "Accept-Ranges": "bytes",
        }
        start = 0
        if asked := self.headers.get("Range"):
            start = int(asked.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        part = content[start:]
        if body and self.hub.break_once and len(part) > 100:
            self.hub.break_once = False
            self.send(206 if start else 200, part, headers, cut=len(part) // 2)
            self.close_connection = True
            return
        self.send(206 if start else 200, part, headers, body=body)

    def refuse(self, status: int, code: str, message: str) -> None:
        self.send(status, b"", {"X-Error-Code": code, "X-Error-Message": message})

    def send(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str],
        body: bool = True,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(content[:cut])


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, answering at ``hub.address`` on the loopback."""
    handler = type("BoundHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
