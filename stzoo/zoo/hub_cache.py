"""What the Hub's cache holds of a repository; no request is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stzoo import bundle as bundles

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile


def listed_snapshot(name: str, commit: str, files: Sequence[str]) -> Path | None:
    """The cached snapshot, if it is known to have all of the `files` that its commit has; no request is made."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if listing(name, commit) is None:
        return None
    try:
        return Path(snapshot_download(name, revision=commit, allow_patterns=list(files), local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def unlisted_snapshot(name: str, commit: str, files: Sequence[str]) -> Path | None:
    """The cached snapshot of a client that left no list of its commit's files; no request is made.

    It stands for the commit if it has those of the `files` that a bundle cannot lack: a file in it is a whole one.
    """
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots" / commit
    if listing(name, commit) is not None:
        return None
    return (
        folder
        if all((folder / file).exists() for file in (bundles.CONFIG, *files) if bundles.is_needed(file))
        else None
    )


def listing(name: str, commit: str) -> Iterable[RepoFile] | None:
    """What an earlier download has noted of a commit's files; no request is made."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        return get_cached_repo_tree(name, revision=commit)
    except CachedRepoTreeNotFoundError:
        return None
