"""Web addresses of models: what people copy from a browser's bar, as `ORG/NAME@REVISION`."""

from __future__ import annotations

import os
import re
import urllib.parse

from stzoo.errors import UsageError
from stzoo.validation import shortened

_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_KINDS = ("datasets", "spaces", "collections", "papers", "docs")
_PAGES = ("tree", "blob", "resolve", "raw", "commit", "commits")


def as_reference(text: str) -> str:
    """A web address as `ORG/NAME` or `ORG/NAME@REVISION`; `ORG/NAME/tree/REVISION` too; other text as it is.

    Raises `UsageError` for the address of another place than the Hub that is asked, and of what is no model.
    """
    scheme, mark, rest = text.partition("://")
    endpoint = urllib.parse.urlsplit(os.environ.get("HF_ENDPOINT", "")).netloc
    hosts = (endpoint,) if endpoint and endpoint not in _HOSTS else _HOSTS
    host, _, path = (rest if mark else text).partition("/")
    if not mark and host not in (*hosts, *_HOSTS):
        return _of_path(text, text) if re.fullmatch(r"[^/]+/[^/@]+/tree/.+", text) else text
    if scheme == "hf":
        return _of_path(rest, text)
    if (mark and scheme not in ("http", "https")) or host not in hosts:
        raise UsageError(
            f'"{shortened(text, 200)}" is no address of the Hub at {hosts[0]}, which is asked for models; write '
            "ORG/NAME, and name another Hub with HF_ENDPOINT"
        )
    return _of_path(path, text)


def _of_path(path: str, text: str) -> str:
    parts = [urllib.parse.unquote(part) for part in re.split(r"[?#]", path)[0].split("/") if part]
    parts = parts[1:] if parts[:1] == ["models"] and len(parts) > 2 else parts
    if len(parts) < 2 or parts[0] in _KINDS or (len(parts) > 2 and parts[2] not in _PAGES):
        raise UsageError(f'"{shortened(text, 200)}" is no address of a model; write ORG/NAME or ORG/NAME@REVISION')
    repository = "/".join(parts[:2])
    if len(parts) < 4:
        return repository
    # A branch may have slashes in its name, but the address of a file goes on after it.
    revision = "/".join(parts[3:]) if parts[2] == "tree" else parts[3]
    return f"{repository}@{revision}"
