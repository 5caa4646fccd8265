"""Uploading to a Hub: one commit, nothing twice, nothing half, and nothing that nobody meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from hub_server import WRITER, Fault, HubServer
from stzoo.errors import HubError, UsageError
from stzoo.zoo import hub
from stzoo.zoo.hub import Repository, Uploaded

TOY = Repository("lab/toy")
LARGE = 2  # files that go through the Hub's storage


@pytest.fixture
def member(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub, on which we may write to the organisation `lab`."""
    monkeypatch.setenv("HF_TOKEN", WRITER)
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "toy"
    source.mkdir()
    (source / "README.md").write_text("---\nlibrary_name: stzoo\npipeline_tag: video-classification\n---\n")
    (source / "config.json").write_text("{}")
    for index, name in enumerate(("model.safetensors", "template.safetensors")):
        (source / name).write_bytes(bytes([index]) * 100_000)
    return source


def upload(folder: Path, repository: Repository = TOY, *, private: bool = False) -> Uploaded:
    return hub.upload(repository, folder, "Publish", lambda name: "/" not in name, private=private)


def test_a_second_time_nothing_is_uploaded(member: HubServer, folder: Path) -> None:
    first = upload(folder)
    assert first == Uploaded(f"{member.url}/lab/toy", member.repos["lab/toy"].refs["main"], changed=True)
    assert member.counted("PUT") == LARGE
    assert upload(folder) == Uploaded(first.url, first.commit, changed=False)
    assert member.counted("PUT") == LARGE
    assert member.counted("/commit/") == 1


def test_what_the_folder_lacks_is_removed_and_what_others_added_stays(member: HubServer, folder: Path) -> None:
    upload(folder)
    repo = member.repos["lab/toy"]
    tree = dict(repo.commits[repo.refs["main"]])
    repo.commit("main", tree | {"notes/mine.md": tree["README.md"]})
    (folder / "template.safetensors").unlink()
    assert upload(folder).changed
    assert member.files("lab/toy") == {"README.md", "config.json", "model.safetensors", "notes/mine.md"}


def test_a_private_folder_goes_into_a_private_repository_alone(member: HubServer, folder: Path) -> None:
    upload(folder, private=True)
    assert member.repos["lab/toy"].private
    member.create("lab/open", private=False)
    with pytest.raises(UsageError, match="lab/open is public"):
        upload(folder, Repository("lab/open"), private=True)
    assert member.files("lab/open") == {".gitattributes"}


def test_a_branch_is_made_and_main_stays(member: HubServer, folder: Path) -> None:
    done = upload(folder, Repository("lab/toy", "try"))
    assert done.url.endswith("/lab/toy/tree/try")
    assert member.files("lab/toy") == {".gitattributes"}
    assert "config.json" in member.files("lab/toy", "try")
    with pytest.raises(UsageError, match="is a commit"):
        upload(folder, Repository("lab/toy", done.commit))


@pytest.mark.parametrize("fault", [Fault("PUT /lfs", times=99), Fault("/commit/", status=500, times=99)])
def test_what_breaks_in_the_middle_leaves_the_branch_as_it_was(member: HubServer, folder: Path, fault: Fault) -> None:
    member.faults.append(fault)
    with pytest.raises(HubError, match=r"connection broke|status 500"):
        upload(folder)
    assert member.files("lab/toy") == {".gitattributes"}
    fault.times = 0
    member.requests.clear()
    assert upload(folder).changed
    assert member.counted("PUT") == (LARGE if "PUT" in fault.pattern else 0), "what arrived is not sent again"


def test_an_upload_goes_on_after_the_connection_broke(member: HubServer, folder: Path) -> None:
    member.faults.append(Fault("PUT /lfs", times=2))
    assert upload(folder).changed
    assert member.content("lab/toy", "model.safetensors") == (folder / "model.safetensors").read_bytes()


def test_somebody_elses_commit_is_not_overwritten(member: HubServer, folder: Path) -> None:
    upload(folder)
    repo = member.repos["lab/toy"]
    (folder / "config.json").write_text("[]")
    member.before["/commit/"] = lambda: repo.commit("main", {})
    with pytest.raises(HubError, match="has changed on the Hub in the meantime"):
        upload(folder)
    assert member.files("lab/toy") == set()


def test_a_hub_without_xet_is_told_how_to_take_the_files(
    member: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_XET", False)
        with pytest.raises(HubError, match="does not take the large files of lab/toy by Xet; set HF_HUB_DISABLE_XET=1"):
            upload(folder)
    assert member.files("lab/toy") == {".gitattributes"}
    assert upload(folder).changed


def test_a_card_that_the_hub_refuses_is_told(member: HubServer, folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    with pytest.raises(HubError, match='"library_name" is missing'):
        upload(folder)
    assert member.counted("PUT") == 0
