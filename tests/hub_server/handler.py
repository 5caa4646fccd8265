"""One connection to the Hub for tests: reading, failing on purpose, and who may do what."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from hub_server.store import MEMBERS, WRITER, Fault, RefusalError, Repo, Store, Tree

Answer = tuple[int, dict[str, str], bytes]
ROUTES: list[tuple[str, re.Pattern[str], Callable[..., Answer]]] = []


def route(method: str, pattern: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    full = pattern.replace("{repo}", r"(?P<repo>[^/]+/[^/]+?)").replace("{revision}", r"(?P<revision>[^/]+)")

    def add(function: Callable[..., Answer]) -> Callable[..., Answer]:
        ROUTES.append((method, re.compile(full), function))
        return function

    return add


def as_json(value: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


class Handler(BaseHTTPRequestHandler):
    """Reads requests, makes faults, checks tokens; what is answered is the business of the routes."""

    hub: Store
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece

    def log_message(self, *_: Any) -> None:
        pass

    def _serve(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        self.query = urllib.parse.parse_qs(url.query)
        path = url.path
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {urllib.parse.unquote(path)}")
            fault = self._fault()
            for part in [part for part in self.hub.before if part in path]:
                self.hub.before.pop(part)()
        length = int(self.headers.get("Content-Length", 0))
        if fault is not None and fault.status is None and self.command == "PUT":
            self.rfile.read(length // 2)
            self._cut()
            return
        self.body = self._read_chunks() if "chunked" in self.headers.get("Transfer-Encoding", "") else b""
        self.body = self.body or self.rfile.read(length)
        try:
            if fault is not None and fault.status is not None:
                raise RefusalError(fault.status, message="made to fail")
            answer = self._answer(path)
        except RefusalError as refusal:
            headers = {"X-Error-Code": refusal.code} if refusal.code else {}
            message = {"X-Error-Message": refusal.message} if refusal.message else {}
            body = json.dumps({"error": refusal.message}).encode()
            answer = refusal.status, {"Content-Type": "application/json", **headers, **message}, body
        self._send(*answer, cut=fault is not None and fault.status is None)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _fault(self) -> Fault | None:
        for fault in self.hub.faults:
            if fault.times > 0 and re.search(fault.pattern, self.hub.requests[-1]):
                fault.times -= 1
                return fault
        return None

    def _read_chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, path: str) -> Answer:
        wanted = "GET" if self.command == "HEAD" else self.command
        for method, pattern, function in ROUTES:
            match = pattern.fullmatch(path)
            if match and method == wanted:
                groups = {name: urllib.parse.unquote(value) for name, value in match.groupdict().items()}
                with self.hub.lock:
                    return function(self, **groups)
        raise RefusalError(404, message=f"no route {self.command} {path}")

    def _send(self, status: int, headers: dict[str, str], body: bytes, *, cut: bool) -> None:
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if status == 200 and first and self.command == "GET":
            end = int(last) + 1 if last else len(body)
            headers = headers | {"Content-Range": f"bytes {first}-{end - 1}/{len(body)}"}
            status, body = 206, body[int(first) : end]
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self._cut()

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def token(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if token is not None and token not in MEMBERS:
            raise RefusalError(401, message="Invalid credentials in Authorization header")
        return token

    def readable(self, name: str) -> Repo:
        token, repo = self.token(), self.hub.repos.get(name)
        hidden = repo is not None and repo.private and name.partition("/")[0] not in MEMBERS.get(token or "", set())
        if repo is None or hidden:
            raise RefusalError(404 if token else 401, "RepoNotFound", "Repository not found")
        return repo

    def may_write(self, namespace: str) -> None:
        token = self.token()
        if token is None:
            raise RefusalError(401, message="Invalid username or password.")
        if token != WRITER or namespace not in MEMBERS[token]:
            raise RefusalError(403, message=f"You have no rights to write under the namespace {namespace}")

    def writable(self, name: str) -> Repo:
        repo = self.readable(name)
        self.may_write(name.partition("/")[0])
        return repo

    def tree(self, repo: Repo, revision: str) -> tuple[str, Tree]:
        sha = repo.resolve(revision)
        if sha is None:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha, repo.commits[sha]
