from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hub_server import HubServer
from stzoo import card as cards
from stzoo.card import OnHub
from stzoo.errors import BundleError, HubError, ModelNotFoundError, UsageError
from stzoo.zoo.reference import NAMESPACE, find


@pytest.fixture
def zoo(zoo: Path) -> Path:
    """The small zoo and a name whose weights are on the Hub."""
    card = cards.read(zoo / "cards" / "toy-never.md")
    far = card.model_copy(update={"name": "toy-far", "weights": OnHub(hub="org/toy", revision="v1")})
    (zoo / "cards" / "toy-far.md").write_text(cards.render(far))
    return zoo


def test_a_name_leads_to_its_bundled_folder(zoo: Path) -> None:
    location = find("toy-opt")
    assert location.folder == zoo / "bundled" / "tiny-opt"
    assert location.card is not None
    assert location.card.name == "toy-opt"


@pytest.mark.parametrize(
    ("ref", "sentence"),
    [
        ("toy-opd", r'called "toy-opd"\. Did you mean "toy-opt"\? `stzoo list`'),
        ("no/such/folder", "`stzoo list` shows every model"),
        ("", 'is called ""'),
        ("toy-never", "no weights yet, since nobody has trained it on toy;"),
        ("toy-lost", "missing from this installation"),
    ],
)
def test_what_cannot_be_found_is_said(zoo: Path, ref: str, sentence: str) -> None:
    with pytest.raises(ModelNotFoundError, match=sentence):
        find(ref)


def test_a_run_gives_its_one_bundle_or_the_opt(tmp_path: Path, tiny_bundle: Path) -> None:
    run = tmp_path / "run"
    finished = run / "bundles"
    shutil.copytree(tiny_bundle, finished / "toy-st")
    assert find(run).folder == finished / "toy-st"
    shutil.copytree(tiny_bundle, finished / "toy-s")
    with pytest.raises(BundleError, match="several bundles"):
        find(run)
    shutil.copytree(tiny_bundle, finished / "toy-opt")
    (finished / ".toy-opt.tmp").mkdir()
    assert find(run).folder == finished / "toy-opt"


def test_a_folder_without_a_bundle_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="neither"):
        find(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="is a file"):
        find(tmp_path / "file")


def test_a_namespace_serves_the_names_of_the_zoo(
    zoo: Path, server: HubServer, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("toy-never", "toy-far", "own-model"):
        server.put(f"lab/{name}", tiny_bundle)
        assert find(name, namespace="lab").folder.parents[1].name == f"models--lab--{name}"
    monkeypatch.setenv(NAMESPACE, "lab")
    assert find("toy-never").folder.parents[1].name == "models--lab--toy-never"
    assert find("toy-opt").folder == zoo / "bundled" / "tiny-opt"
    with pytest.raises(ModelNotFoundError, match="no repository lab/toy-opd that"):
        find("toy-opd")
    monkeypatch.setenv(NAMESPACE, "not a name")
    with pytest.raises(UsageError, match="not a name"):
        find("toy-never")


def test_a_card_names_its_repository_and_revision(zoo: Path, server: HubServer, tiny_bundle: Path) -> None:
    server.put("org/toy", tiny_bundle)
    server.repos["org/toy"].tags["v1"] = server.repos["org/toy"].refs["main"]
    assert find("toy-far").folder.name == server.repos["org/toy"].tags["v1"]
    assert server.counted("revision/v1") == 1
    with pytest.raises(ModelNotFoundError, match='no revision "v2"'):
        find("toy-far@v2")


def test_a_revision_that_cannot_be_meant_is_refused(zoo: Path, tiny_bundle: Path) -> None:
    for ref, sentence in (
        ("toy-opt@v1", "in the package and has no revision"),
        (str(tiny_bundle), "a folder here and has no revision"),
        ("org/toy@v1", "is given besides"),
    ):
        with pytest.raises(UsageError, match=sentence):
            find(ref, revision=None if "toy-opt" in ref else "v2")


@pytest.mark.parametrize("offline", [False, True])
def test_a_mistyped_folder_is_not_only_looked_for_on_the_hub(
    hub_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "camera-motion").mkdir(parents=True)
    sentence = r'^there is no folder runs/camera-motoin here\. Did you mean "camera-motion"\? .*(reached|not in)'
    with pytest.raises(HubError, match=sentence):
        find("runs/camera-motoin", offline=offline)
    with pytest.raises(HubError, match=r"^there is no folder lab/toy here\. As a Hub repository: "):
        find("lab/toy", offline=offline)


def test_a_folder_is_taken_before_a_repository_of_that_name(
    server: HubServer, tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("lab/toy", tiny_bundle)
    shutil.copytree(tiny_bundle, tmp_path / "lab" / "toy")
    monkeypatch.chdir(tmp_path)
    assert find("lab/toy").repository is None
    assert server.requests == []
