"""A Hub on the loopback interface: what the unmodified `huggingface_hub` client needs to create, fill, list and read.

A new repository has a first commit with a `.gitattributes`. Members of the organisation `lab` read what is private
there, and one of them writes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import urllib.parse
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from hub_server.handler import Answer, Handler, as_json, route
from hub_server.store import MEMBERS, READER, STRANGER, WRITER, Entry, Fault, RefusalError, Store, is_large

__all__ = ["READER", "STRANGER", "WRITER", "Fault", "HubServer"]


class HubServer(Store):
    """Serves from `start` to `stop`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Connection", (_Routes,), {"hub": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Routes(Handler):
    @property
    def url(self) -> str:
        return f"http://{self.headers['Host']}"

    @route("POST", "/api/repos/create")
    def create(self) -> Answer:
        asked = json.loads(self.body)
        self.may_write(asked["organization"])
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.repos:
            return as_json({"error": "You already created this model repo", "url": f"{self.url}/{name}"}, 409)
        self.hub.create(name, asked.get("visibility") == "private")
        return as_json({"url": f"{self.url}/{name}"})

    @route("POST", "/api/validate-yaml")
    def validate(self) -> Answer:
        front = yaml.safe_load(json.loads(self.body)["content"].split("---\n")[1])
        errors = [{"message": f'"{key}" is missing'} for key in ("library_name", "pipeline_tag") if key not in front]
        return as_json({"errors": errors, "warnings": []}, 400 if errors else 200)

    @route("GET", "/api/models")
    def models(self) -> Answer:
        token = self.token()
        author = self.query.get("author", [""])[0]
        seen = [repo for repo in self.hub.repos.values() if repo.name.startswith(f"{author}/" if author else "")]
        open_to = [repo for repo in seen if not repo.private or repo.name.split("/")[0] in MEMBERS.get(token or "", ())]
        return as_json([{"id": repo.name, "private": repo.private} for repo in open_to])

    @route("GET", "/api/models/{repo}")
    def info(self, repo: str) -> Answer:
        return self.revision(repo, "main")

    @route("GET", "/api/models/{repo}/revision/{revision}")
    def revision(self, repo: str, revision: str) -> Answer:
        repository = self.readable(repo)
        sha, tree = self.tree(repository, revision)
        siblings = [{"rfilename": path} for path in tree]
        return as_json({"id": repo, "sha": sha, "private": repository.private, "siblings": siblings})

    @route("GET", "/api/models/{repo}/tree/{revision}")
    def listing(self, repo: str, revision: str) -> Answer:
        _, tree = self.tree(self.readable(repo), revision)
        return as_json([_described(path, entry) for path, entry in tree.items()])

    @route("POST", "/api/models/{repo}/paths-info/{revision}")
    def paths(self, repo: str, revision: str) -> Answer:
        _, tree = self.tree(self.readable(repo), revision)
        wanted = urllib.parse.parse_qs(self.body.decode())["paths"]
        return as_json([_described(path, tree[path]) for path in wanted if path in tree])

    @route("GET", "/api/models/{repo}/refs")
    def references(self, repo: str) -> Answer:
        repository = self.readable(repo)
        branches, tags = (
            [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha} for name, sha in refs.items()]
            for kind, refs in (("heads", repository.refs), ("tags", repository.tags))
        )
        return as_json({"branches": branches, "tags": tags, "converts": [], "pullRequests": []})

    @route("POST", "/api/models/{repo}/branch/{revision}")
    def branch(self, repo: str, revision: str) -> Answer:
        repository = self.writable(repo)
        if revision in repository.refs:
            raise RefusalError(409, message="Reference already exists")
        repository.refs[revision] = repository.refs["main"]
        return as_json({})

    @route("POST", "/api/models/{repo}/preupload/{revision}")
    def preupload(self, repo: str, revision: str) -> Answer:
        _, tree = self.tree(self.writable(repo), revision)
        files = [file["path"] for file in json.loads(self.body)["files"]]
        return as_json(
            {
                "files": [
                    {
                        "path": path,
                        "uploadMode": "lfs" if is_large(path) else "regular",
                        "shouldIgnore": False,
                        "oid": tree[path].oid if path in tree else None,
                    }
                    for path in files
                ]
            }
        )

    @route("POST", r"/{repo}\.git/info/lfs/objects/batch")
    def batch(self, repo: str) -> Answer:
        self.writable(repo)
        objects = json.loads(self.body)["objects"]
        for wanted in objects:
            if not (self.hub.folder / wanted["oid"]).exists():
                hrefs = {"upload": f"/lfs/{wanted['oid']}", "verify": f"/{repo}/lfs/verify"}
                wanted["actions"] = {name: {"href": f"{self.url}{path}"} for name, path in hrefs.items()}
        return as_json({"transfer": "basic", "objects": objects})

    @route("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})")
    def put(self, oid: str) -> Answer:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise RefusalError(400, message="the content does not have the id")
        self.hub.store(oid, self.body)
        return 200, {}, b""

    @route("POST", "/{repo}/lfs/verify")
    def verify(self, repo: str) -> Answer:
        self.writable(repo)
        asked = json.loads(self.body)
        stored = self.hub.folder / asked["oid"]
        if not stored.exists() or stored.stat().st_size != asked["size"]:
            raise RefusalError(404, message="Object not found")
        return as_json({})

    @route("POST", "/api/models/{repo}/commit/{revision}")
    def commit(self, repo: str, revision: str) -> Answer:
        repository = self.writable(repo)
        if revision not in repository.refs:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        tree = dict(repository.commits[repository.refs[revision]])
        for line in self.body.splitlines():
            value = json.loads(line)
            key, value = value["key"], value["value"]
            if key == "header" and value.get("parentCommit", repository.refs[revision]) != repository.refs[revision]:
                raise RefusalError(412, message="A commit has happened since. Please refresh and try again.")
            if key == "file":
                tree[value["path"]] = self.hub.regular(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                if not (self.hub.folder / value["oid"]).exists():
                    raise RefusalError(400, message=f"{value['path']}: the LFS object was not uploaded")
                tree[value["path"]] = Entry(value["oid"], value["size"], lfs=True)
            elif key == "deletedFile":
                del tree[value["path"]]
        sha = repository.commit(revision, tree)
        return as_json({"success": True, "commitOid": sha, "commitUrl": f"{self.url}/{repo}/commit/{sha}"})

    @route("GET", "/{repo}/resolve/{revision}/(?P<path>.+)")
    def resolve(self, repo: str, revision: str, path: str) -> Answer:
        sha, tree = self.tree(self.readable(repo), revision)
        if path not in tree:
            raise RefusalError(404, "EntryNotFound", "Entry not found")
        entry = tree[path]
        headers = {"X-Repo-Commit": sha, "ETag": f'"{entry.oid}"', "X-Linked-Size": str(entry.size)}
        if entry.lfs:
            headers["X-Linked-ETag"] = f'"{entry.oid}"'
        return 200, headers, (self.hub.folder / entry.oid).read_bytes()


def _described(path: str, entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = {"type": "file", "path": path, "size": entry.size, "oid": entry.oid[:40]}
    if entry.lfs:
        described["lfs"] = {"oid": entry.oid, "size": entry.size, "pointerSize": 134}
    return described
