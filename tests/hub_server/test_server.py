"""The Hub for tests against the client that everybody has."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import CommitOperationDelete, HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hub_server import READER, STRANGER, WRITER, Fault, HubServer

WEIGHTS = bytes(range(256)) * 2000


@pytest.fixture
def api(server: HubServer) -> HfApi:
    return HfApi(endpoint=server.url, token=WRITER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "README.md").write_text(
        "---\nlibrary_name: stzoo\npipeline_tag: video-classification\n---\n\n# A model\n"
    )
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    return folder


def test_a_folder_goes_there_and_back(server: HubServer, api: HfApi, folder: Path) -> None:
    url = api.create_repo("lab/toy")
    assert url == f"{server.url}/lab/toy"
    commit = api.upload_folder(folder_path=folder, repo_id="lab/toy")
    assert api.model_info("lab/toy").sha == commit.oid
    assert {file.path for file in api.list_repo_tree("lab/toy")} == server.files("lab/toy")
    assert [info.size for info in api.get_paths_info("lab/toy", ["model.safetensors"])] == [len(WEIGHTS)]
    back = Path(snapshot_download("lab/toy", endpoint=server.url))
    assert (back / "model.safetensors").read_bytes() == WEIGHTS
    assert (back / "model.safetensors").resolve().parent == back.parents[1] / "blobs"
    with pytest.raises(RemoteEntryNotFoundError):
        hf_hub_download("lab/toy", "none.json", endpoint=server.url)


def test_contents_are_uploaded_once_and_deleted_files_stay_in_their_commit(
    server: HubServer, api: HfApi, folder: Path
) -> None:
    api.create_repo("lab/toy")
    first = api.upload_folder(folder_path=folder, repo_id="lab/toy").oid
    assert api.upload_folder(folder_path=folder, repo_id="lab/toy").oid == first
    assert server.counted("PUT /lfs/") == 1
    assert server.counted("/commit/main") == 1
    second = api.create_commit("lab/toy", [CommitOperationDelete("model.safetensors")], commit_message="less").oid
    assert server.files("lab/toy") == {".gitattributes", "README.md"}
    assert server.content("lab/toy", "model.safetensors", first) == WEIGHTS
    assert second != first


def test_branches_tags_and_wrong_revisions(server: HubServer, api: HfApi, folder: Path) -> None:
    api.create_repo("lab/toy")
    start = api.model_info("lab/toy").sha
    api.create_branch("lab/toy", branch="try/one")
    commit = api.upload_folder(folder_path=folder, repo_id="lab/toy", revision="try/one")
    assert {branch.name: branch.target_commit for branch in api.list_repo_refs("lab/toy").branches} == {
        "main": start,
        "try/one": commit.oid,
    }
    server.repos["lab/toy"].tags["v1"] = commit.oid
    assert api.model_info("lab/toy", revision="v1").sha == commit.oid
    with pytest.raises(RevisionNotFoundError):
        api.model_info("lab/toy", revision="v2")
    with pytest.raises(HfHubHTTPError, match="412"):
        api.upload_folder(folder_path=folder, repo_id="lab/toy", parent_commit=commit.oid)


def test_who_may_read_and_write(server: HubServer, api: HfApi) -> None:
    api.create_repo("lab/secret", private=True)
    api.create_repo("lab/open")
    for token in (False, STRANGER):
        with pytest.raises(RepositoryNotFoundError):
            api.model_info("lab/secret", token=token)
        assert [model.id for model in api.list_models(author="lab", token=token)] == ["lab/open"]
    assert api.model_info("lab/secret", token=READER).private
    assert len(list(api.list_models(author="lab", token=READER))) == 2
    with pytest.raises(HfHubHTTPError, match="403"):
        api.create_repo("lab/other", token=READER)
    with pytest.raises(HfHubHTTPError, match="Invalid credentials"):
        api.model_info("lab/open", token="hf_wrong")
    with pytest.raises(RepositoryNotFoundError):
        api.model_info("lab/none")


def test_a_card_without_metadata_is_refused(server: HubServer, api: HfApi, folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    api.create_repo("lab/toy")
    with pytest.raises(ValueError, match='"library_name" is missing'):
        api.upload_folder(folder_path=folder, repo_id="lab/toy")


def test_faults_happen_as_often_as_asked(server: HubServer, api: HfApi, folder: Path) -> None:
    api.create_repo("lab/toy")
    server.faults += [
        Fault("PUT /lfs"),
        Fault("GET /lab/toy/resolve/.*safetensors"),
        Fault("GET /api/models/lab/toy$", status=503),
    ]
    api.upload_folder(folder_path=folder, repo_id="lab/toy")
    with pytest.raises(HfHubHTTPError, match="503"):
        api.model_info("lab/toy")
    path = hf_hub_download("lab/toy", "model.safetensors", endpoint=server.url)
    assert Path(path).read_bytes() == WEIGHTS
    assert server.counted("PUT /lfs/") == 2
