"""Fetching from a Hub: what is asked and what is not, and what is said when something goes wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants, file_download

from hub_server import READER, STRANGER, Fault, HubServer
from stzoo import bundle as bundles
from stzoo.errors import HubError, ModelNotFoundError, UsageError
from stzoo.zoo import hub
from stzoo.zoo.hub import Repository

FILES = (*bundles.TEXTS, bundles.MODEL)
TOY = Repository("lab/toy")


@pytest.fixture
def published(server: HubServer, template_bundle: Path, tmp_path: Path) -> str:
    """The commit of a bundle in lab/toy, which has more than a load needs."""
    folder = Path(shutil.copytree(template_bundle, tmp_path / "toy"))
    (folder / "model.onnx").write_bytes(b"onnx")
    return server.put("lab/toy", folder)


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if ".incomplete" in path.name]


def test_only_what_is_asked_for_is_fetched(server: HubServer, published: str, hub_cache: Path) -> None:
    folder = hub.fetch(TOY, FILES)
    assert folder == hub_cache / "models--lab--toy" / "snapshots" / published
    assert {path.name for path in folder.iterdir()} == {*FILES} - {"recipe.toml", "scores.csv", "branch-effects.json"}
    assert bundles.read(folder).name == "tiny-opt"
    assert bundles.read_weights(folder)


def test_a_branch_costs_one_request_and_a_commit_none(server: HubServer, published: str) -> None:
    for repository, requests in ((TOY, 1), (Repository("lab/toy", published), 0)):
        hub.fetch(repository, FILES)
        server.requests.clear()
        hub.fetch(repository, FILES)
        assert len(server.requests) == requests, server.requests


def test_a_file_that_is_asked_for_later_is_fetched_once(server: HubServer, published: str) -> None:
    hub.fetch(TOY, FILES)
    for _ in range(2):
        hub.fetch(TOY, (bundles.TEMPLATE,))
    assert server.counted("GET /lab/toy/resolve") == server.counted("HEAD /lab/toy/resolve")
    assert server.counted(f"GET /lab/toy/resolve/{published}/{bundles.TEMPLATE}") == 1


def test_a_moved_branch_is_followed_and_a_pinned_commit_stays(
    server: HubServer, published: str, template_bundle: Path, tmp_path: Path
) -> None:
    first = hub.fetch(TOY, FILES)
    changed = Path(shutil.copytree(template_bundle, tmp_path / "changed"))
    (changed / "metrics.json").write_text("[]")
    moved = server.put("lab/toy", changed)
    assert hub.fetch(Repository("lab/toy", published), FILES) == first
    assert bundles.read(first).metrics
    second = hub.fetch(TOY, FILES)
    assert second.name == moved
    assert bundles.read(second).metrics == ()
    assert server.counted(f"GET /lab/toy/resolve/{moved}/model.safetensors") == 0, "the content was in the cache"


def test_offline_the_cache_answers_or_says_what_it_lacks(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubError, match=r"lab/toy is not in the Hub cache.*HF_HUB_OFFLINE"):
        hub.fetch(TOY, FILES, offline=True)
    online = hub.fetch(TOY, FILES)
    server.requests.clear()
    assert hub.fetch(TOY, FILES, offline=True) == online
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub.fetch(TOY, FILES) == online
    with pytest.raises(HubError, match="not whole in the Hub cache"):
        hub.fetch(TOY, (bundles.TEMPLATE,))
    assert server.requests == []


def test_a_whole_cache_without_its_listing_is_enough(
    server: HubServer, published: str, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = hub.fetch(TOY, FILES)
    listings = [path for path in hub_cache.rglob("trees") if path.is_dir()]
    assert listings, "the client lists what a commit has"
    for listing in listings:
        shutil.rmtree(listing)
    server.requests.clear()
    assert hub.fetch(TOY, FILES, offline=True) == online
    assert bundles.read(online)
    with pytest.raises(HubError, match="not whole in the Hub cache"):
        hub.fetch(TOY, (bundles.TEMPLATE,), offline=True)
    assert server.requests == []
    monkeypatch.setenv("HF_ENDPOINT", constants.ENDPOINT)  # where nobody listens
    assert hub.fetch(TOY, FILES) == online
    (online / bundles.MODEL).unlink()
    with pytest.raises(HubError, match="not whole in the Hub cache"):
        hub.fetch(TOY, FILES, offline=True)


def test_what_the_cache_lacks_is_known_without_the_client(hub_cache: Path) -> None:
    program = (
        "import sys\n"
        "from stzoo.errors import HubError\n"
        "from stzoo.zoo.hub import Repository, fetch\n"
        "try:\n"
        "    fetch(Repository('lab/toy'), ['config.json'], offline=True)\n"
        "except HubError as error:\n"
        "    print(error)\n"
        "sys.exit('httpx2' in sys.modules)\n"
    )
    environment = os.environ | {"HF_HOME": str(hub_cache.parent)}
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("lab/toy is not in the Hub cache")


def test_the_cache_stands_in_for_a_hub_out_of_reach(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    online = hub.fetch(TOY, FILES)
    monkeypatch.setenv("HF_ENDPOINT", constants.ENDPOINT)
    assert hub.fetch(TOY, FILES) == online
    for repository in (Repository("lab/other"), Repository("lab/toy", "v1")):
        with pytest.raises(HubError, match=f"cannot be reached for {repository}"):
            hub.fetch(repository, FILES)


@pytest.mark.parametrize("token", [None, STRANGER])
def test_a_private_repository_is_for_its_members(server: HubServer, tiny_bundle: Path, token: str | None) -> None:
    server.put("lab/secret", tiny_bundle, private=True)
    with pytest.raises(ModelNotFoundError, match=r"no repository lab/secret that you may read.*hf auth login"):
        hub.fetch(Repository("lab/secret"), FILES, token=token)
    assert bundles.read(hub.fetch(Repository("lab/secret"), FILES, token=READER))


def test_what_does_not_exist_or_is_refused_is_said_in_one_sentence(server: HubServer, published: str) -> None:
    with pytest.raises(ModelNotFoundError, match="no repository lab/none that"):
        hub.fetch(Repository("lab/none"), FILES)
    with pytest.raises(ModelNotFoundError, match='lab/toy has no revision "v9"'):
        hub.fetch(Repository("lab/toy", "v9"), FILES)
    with pytest.raises(HubError, match="does not accept your token"):
        hub.fetch(TOY, FILES, token="hf_wrong")
    server.faults.append(Fault("GET /api/models/lab/toy", status=503, times=99))
    with pytest.raises(HubError, match="status 503"):
        hub.fetch(TOY, FILES)


@pytest.mark.parametrize("name", ["lab", "lab/", "/toy", "lab/toy/more", "lab/..", "../toy", "lab/to y", ""])
def test_names_that_no_hub_has_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="ORG/NAME"):
        Repository(name)


@pytest.mark.parametrize("revision", ["", "..", "a/../b", "-x", "main?"])
def test_revisions_that_no_hub_has_are_refused(revision: str) -> None:
    with pytest.raises(UsageError, match="not a revision"):
        Repository("lab/toy", revision)


def test_a_connection_that_breaks_is_taken_up_again(server: HubServer, published: str, hub_cache: Path) -> None:
    server.faults.append(Fault("GET /lab/toy/resolve/.*safetensors", times=2))
    folder = hub.fetch(TOY, FILES)
    assert bundles.read_weights(folder)
    assert server.counted("model.safetensors") == 4  # HEAD, and a GET that broke twice
    assert leftovers(hub_cache) == []


def test_a_connection_that_keeps_breaking_leaves_nothing_half_done(
    server: HubServer, published: str, hub_cache: Path
) -> None:
    server.faults.append(Fault("(HEAD|GET) /lab/toy/resolve/.*safetensors", status=500, times=99))
    with pytest.raises(HubError, match="status 500"):
        hub.fetch(TOY, FILES)
    assert leftovers(hub_cache) == []
    with pytest.raises(HubError, match="not whole"):
        hub.fetch(TOY, FILES, offline=True)
    server.faults.clear()
    assert bundles.read_weights(hub.fetch(TOY, FILES))


def test_a_full_disk_is_said_and_leaves_nothing_half_done(
    server: HubServer, published: str, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(file_download, "http_get", full)
        with pytest.raises(HubError, match="the disk is full: lab/toy"):
            hub.fetch(TOY, FILES)
    assert leftovers(hub_cache) == []
    assert bundles.read_weights(hub.fetch(TOY, FILES))


def test_a_file_that_stzoo_would_not_read_is_not_fetched(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "most_bytes", lambda name: 1000)
    with pytest.raises(HubError, match=r"lab/toy has \S+ with \d+ bytes; at most 1000 are fetched"):
        hub.fetch(TOY, FILES)
    assert server.counted("resolve") == 0


def test_two_processes_fetch_at_once(server: HubServer, published: str, hub_cache: Path) -> None:
    program = (
        "from stzoo import bundle as bundles\nfrom stzoo.zoo import hub\n"
        f"folder = hub.fetch(hub.Repository('lab/toy'), {FILES!r})\n"
        "print(bundles.weights_digest(folder))\n"
    )
    environment = os.environ | {
        "HF_HOME": str(hub_cache.parent),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    environment.pop("HF_HUB_CACHE", None)
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    digests = {process.communicate(timeout=300)[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert digests == {f"{bundles.weights_digest(hub.fetch(TOY, FILES, offline=True))}\n"}
    assert leftovers(hub_cache) == []


def test_a_hub_that_names_no_commit_is_refused(
    server: HubServer, published: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = server.repos["lab/toy"]
    repository.commits["../../x"] = repository.commits[published]
    repository.refs["main"] = "../../x"
    with pytest.raises(HubError, match=r"the commit '\.\./\.\./x', which is none"):
        hub.fetch(TOY, FILES)
    assert json.dumps(server.requests).count("resolve") == 0
