"""What the Hub for tests holds: repositories, contents, and what went on."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Tree = dict[str, "Entry"]
WRITER, READER, STRANGER = "hf_writer", "hf_reader", "hf_stranger"
MEMBERS = {WRITER: {"lab"}, READER: {"lab"}, STRANGER: set[str]()}


@dataclass(frozen=True)
class Entry:
    """A file of a commit: `oid` is the id of its content, sha256 for LFS and git's sha1 for others."""

    oid: str
    size: int
    lfs: bool


@dataclass
class Repo:
    name: str
    private: bool
    commits: dict[str, Tree] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, tree: Tree) -> str:
        listing = json.dumps([self.name, branch, len(self.commits), sorted(map(str, tree.items()))])
        sha = hashlib.sha1(listing.encode()).hexdigest()
        self.commits[sha] = tree
        self.refs[branch] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        sha = self.refs.get(revision) or self.tags.get(revision)
        return sha or (revision if revision in self.commits else None)


@dataclass
class Fault:
    """What happens to the next `times` requests whose line, such as `GET /lab/toy`, matches `pattern`.

    `status` is answered in place of what was asked; with None the connection is cut in the middle of the body.
    """

    pattern: str
    status: int | None = None
    times: int = 1


class RefusalError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Store:
    """The contents in a folder, by git or LFS id.

    `requests` has every request, `faults` what is to go wrong, and `before` what happens just before the next request
    whose line has that part.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.repos: dict[str, Repo] = {}
        self.requests: list[str] = []
        self.faults: list[Fault] = []
        self.before: dict[str, Callable[[], object]] = {}
        self.lock = threading.RLock()

    def counted(self, part: str) -> int:
        """How many requests had `part` in their line."""
        return sum(part in line for line in self.requests)

    def store(self, oid: str, content: bytes) -> None:
        (self.folder / oid).write_bytes(content)

    def content(self, repo: str, path: str, revision: str = "main") -> bytes:
        repository = self.repos[repo]
        sha = repository.resolve(revision)
        assert sha is not None
        return (self.folder / repository.commits[sha][path].oid).read_bytes()

    def files(self, repo: str, revision: str = "main") -> set[str]:
        repository = self.repos[repo]
        return set(repository.commits[repository.resolve(revision) or ""])

    def create(self, name: str, private: bool) -> Repo:
        repo = self.repos[name] = Repo(name, private)
        repo.commit("main", {".gitattributes": self.regular(b"*.safetensors filter=lfs\n")})
        return repo

    def regular(self, content: bytes) -> Entry:
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.store(oid, content)
        return Entry(oid, len(content), lfs=False)

    def put(self, name: str, folder: Path, *, branch: str = "main", private: bool = False) -> str:
        """A commit that holds exactly the files of a folder, as somebody else would have uploaded them."""
        repo = self.repos.get(name) or self.create(name, private)
        tree = {path.relative_to(folder).as_posix(): self.entry(path) for path in folder.rglob("*") if path.is_file()}
        return repo.commit(branch, tree)

    def entry(self, path: Path) -> Entry:
        content = path.read_bytes()
        if not is_large(path.name):
            return self.regular(content)
        oid = hashlib.sha256(content).hexdigest()
        self.store(oid, content)
        return Entry(oid, len(content), lfs=True)


def is_large(path: str) -> bool:
    return path.endswith((".safetensors", ".onnx", ".png"))
