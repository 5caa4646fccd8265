"""The wire: what stzoo asks of a Hub, and what it says when the Hub refuses, is far away, or sends too much."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from stzoo import bundle as bundles
from stzoo.errors import HubError, ModelNotFoundError, StzooError, UsageError
from stzoo.validation import shortened
from stzoo.zoo.hub_cache import listed_snapshot, listing, unlisted_snapshot

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile, RepoFolder

MAIN = "main"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
_SECONDS_TO_ANSWER = 10
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


@dataclass(frozen=True)
class Repository:
    """A Hub repository as `ORG/NAME`, at a branch, tag or commit.

    Raises `UsageError` for names that no Hub has.
    """

    id: str
    revision: str = MAIN

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise UsageError(f'"{self.id}" is not the name of a Hub repository; write ORG/NAME')
        if not _REVISION.fullmatch(self.revision) or ".." in self.revision:
            raise UsageError(f'"{self.revision}" is not a revision; give a branch, a tag or a commit')

    def __str__(self) -> str:
        return self.id if self.revision == MAIN else f"{self.id}@{self.revision}"


def is_repository(text: str) -> bool:
    """Whether a text reads as `ORG/NAME` or `ORG/NAME@REVISION`."""
    return bool(_ID.fullmatch(text.partition("@")[0]))


def endpoint() -> str:
    """The address of the Hub: what HF_ENDPOINT names now, or the client's."""
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def client(token: str | None = None) -> HfApi:
    """The Hub's client, for the `endpoint` at the time of the call."""
    from huggingface_hub import HfApi

    import stzoo

    return HfApi(endpoint=endpoint(), token=token, library_name="stzoo", library_version=stzoo.__version__)


def fetch(
    repository: Repository, files: Sequence[str], *, offline: bool | None = None, token: str | None = None
) -> Path:
    """The snapshot folder in the Hub's cache with those of the `files` that the repository has, fetching what lacks.

    What is in the cache costs one request for a branch or tag, and none for a whole commit hash. With `offline` no
    request is made at all; by default HF_HUB_OFFLINE decides. The cache also stands in for a Hub out of reach.

    Raises `ModelNotFoundError` for a repository or revision that does not exist or may not be read, `HubError` for
    everything else that goes wrong.
    """
    import stzoo

    offline = is_offline(offline)
    if offline and not knows(repository):
        raise _not_cached(repository)
    from huggingface_hub import snapshot_download

    api = client(token)
    with explaining(repository):
        revision = api.resolve_revision(repository.id, revision=repository.revision, local_files_only=offline)
        commit = revision.resolved
        if not _COMMIT.fullmatch(commit):
            raise HubError(f"the Hub gives {repository} the commit {shortened(repr(commit))}, which is none")
        folder = listed_snapshot(repository.id, commit, files)
        if folder is not None:
            return folder
        if offline:
            if (folder := unlisted_snapshot(repository.id, commit, files)) is not None:
                return folder
            raise HubError(
                f"{repository} is not whole in the Hub cache, and the Hub may not be asked; load it once without "
                "HF_HUB_OFFLINE and `offline`"
            )
        try:
            _refuse_large(api, repository, commit, files)
        except _http().TransportError:
            if (folder := unlisted_snapshot(repository.id, commit, files)) is None:
                raise
            return folder
        return Path(
            snapshot_download(
                repository.id,
                revision=revision,
                allow_patterns=list(files),
                endpoint=api.endpoint,
                token=token,
                library_name="stzoo",
                library_version=stzoo.__version__,
            )
        )


def is_offline(offline: bool | None) -> bool:
    """Whether the Hub may not be asked; by default HF_HUB_OFFLINE decides."""
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE if offline is None else offline


def ping() -> None:
    """Asks the Hub for the list of its models, and for no more than one. Raises `HubError` where it does not answer."""
    from huggingface_hub import get_session

    http = _http()
    way_on = "where there is no network, HF_HUB_OFFLINE=1 lets models come from the cache"
    try:
        answer = get_session().get(f"{endpoint()}/api/models", params={"limit": 1}, timeout=_SECONDS_TO_ANSWER)
    except (http.HTTPError, http.InvalidURL, OSError, ValueError) as error:
        said = shortened(" ".join(str(error).split()), 200)
        raise HubError(f"the Hub at {endpoint()} does not answer ({said}); {way_on}") from error
    if answer.status_code >= 500:
        raise HubError(f"the Hub at {endpoint()} answers with status {answer.status_code}; {way_on}")


@dataclass(frozen=True)
class Uploaded:
    """Where a folder is on the Hub, and whether it had to be changed there."""

    url: str
    commit: str
    changed: bool


def require_token(token: str | None) -> None:
    """Raises `HubError` where nobody is logged in to the Hub."""
    from huggingface_hub import get_token

    if token is None and get_token() is None:
        raise HubError(f"publishing needs a token of the Hub; {_LOG_IN}")


def knows(repository: Repository) -> bool:
    """Whether the Hub's cache has anything of a repository. No request is made; without a cache no client is loaded."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    if not cache.is_dir():
        return False
    from huggingface_hub.file_download import repo_folder_name

    return (cache / repo_folder_name(repo_id=repository.id, repo_type="model")).is_dir()


def upload(
    repository: Repository,
    folder: Path,
    message: str,
    belongs: Callable[[str], bool],
    *,
    private: bool = False,
    token: str | None = None,
) -> Uploaded:
    """Makes a branch hold a folder's files, in one commit; repository and branch are made where they do not exist.

    Files that the branch has already are not uploaded. Of the others that it has, those are removed that `belongs`
    accepts. When anything fails, the branch is what it was; what reached the Hub's storage is not uploaded again.

    Raises `HubError` and `ModelNotFoundError` as `fetch` does, and `UsageError` when a private repository was asked for
    and it is public, or the revision is a commit.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete
    from huggingface_hub.hf_api import RepoFile

    name, branch = repository.id, repository.revision
    if _COMMIT.fullmatch(branch):
        raise UsageError(f"{branch} is a commit, which nothing can be added to; give a branch")
    api = client(token)
    with explaining(repository):
        api.create_repo(name, private=private or None, exist_ok=True)
        if private and not api.model_info(name).private:
            raise UsageError(f"{name} is public on the Hub; make it private there, or publish without --private")
        if branch != MAIN:
            api.create_branch(name, branch=branch, exist_ok=True)
        head = api.model_info(name, revision=branch).sha
        there = {
            file.path for file in api.list_repo_tree(name, recursive=True, revision=head) if isinstance(file, RepoFile)
        }
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        commit = api.create_commit(
            name,
            [
                *(CommitOperationAdd(path_in_repo, str(path)) for path_in_repo, path in files.items()),
                *(CommitOperationDelete(path) for path in sorted(there - files.keys()) if belongs(path)),
            ],
            commit_message=message,
            revision=branch,
            parent_commit=head,
        ).oid
    url = f"{api.endpoint}/{name}" + (f"/tree/{branch}" if branch != MAIN else "")
    return Uploaded(url, commit, changed=commit != head)


@contextlib.contextmanager
def explaining(repository: Repository) -> Iterator[None]:
    """Turns the client's exceptions into one sentence about the repository; ours pass."""
    from huggingface_hub.errors import RevisionResolutionError

    try:
        yield
    except StzooError:
        raise
    except (_http().HTTPError, OSError, RuntimeError, ValueError, RevisionResolutionError) as error:
        raise _explained(_cause(error), repository) from error


def _http() -> ModuleType:
    """The HTTP library of the Hub's client, which has had several."""
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]

    return httpx


def _refuse_large(api: HfApi, repository: Repository, commit: str, files: Sequence[str]) -> None:
    """Asks for the sizes of what would be fetched. Raises `HubError` for a file that stzoo would not read."""
    listed: Iterable[RepoFile | RepoFolder] | None = listing(repository.id, commit)
    if listed is None:
        listed = api.list_repo_tree(repository.id, revision=commit, recursive=True)
    for file in listed:
        size = getattr(file, "size", 0)
        if file.path in files and size > bundles.most_bytes(file.path):
            raise HubError(
                f"{repository} has {file.path} with {size} bytes; at most {bundles.most_bytes(file.path)} are fetched"
            )


def _not_cached(repository: Repository) -> HubError:
    return HubError(
        f"{repository} is not in the Hub cache, and the Hub may not be asked; load it once without HF_HUB_OFFLINE "
        "and `offline`"
    )


def _cause(error: BaseException) -> BaseException:
    """What went wrong on the wire or the disk: the client wraps it in errors of its own that say less."""
    while error.__cause__ is not None and not isinstance(error, _http().HTTPError):
        error = error.__cause__
    return error


def _explained(error: BaseException, repository: Repository) -> StzooError:
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
        RevisionResolutionError,
    )

    said = shortened(" ".join(str(error).split()), 200)
    if isinstance(error, GatedRepoError):
        return ModelNotFoundError(f"{repository} is gated; ask for access on its page and {_LOG_IN}")
    if isinstance(error, RevisionNotFoundError):
        return ModelNotFoundError(f'the Hub repository {repository.id} has no revision "{repository.revision}"')
    if isinstance(error, RepositoryNotFoundError):
        return ModelNotFoundError(
            f"the Hub has no repository {repository.id} that you may read; check the name, "
            f"or if it is private {_LOG_IN}"
        )
    if isinstance(error, RevisionResolutionError):
        return _not_cached(repository)
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return HubError(f"the Hub does not accept your token for {repository}; {_LOG_IN}")
    if status == 403:
        return HubError(f"your token has no right to do this with {repository}; {_LOG_IN} as somebody who has")
    if status == 412:
        return HubError(f"{repository} has changed on the Hub in the meantime; run the command again")
    if status is not None:
        return HubError(f"the Hub answers for {repository} with status {status}; try again later: {said}")
    if "xet-write-token" in str(error) and "404" in str(error):
        return HubError(f"this Hub does not take the large files of {repository} by Xet; set HF_HUB_DISABLE_XET=1")
    if isinstance(error, _http().TransportError | ConnectionError):
        return HubError(f"the Hub cannot be reached for {repository}, or the connection broke; try again: {said}")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return HubError(f"the disk is full: {repository} does not fit; free some space, or move the cache with HF_HOME")
    return HubError(f"{repository} cannot be moved between here and the Hub: {said}")
