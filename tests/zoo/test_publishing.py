"""Publishing: what is uploaded, that it is checked first, and what happens when the Hub or the line fails."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from huggingface_hub import ModelCard, constants, parse_eval_result_entries

import stzoo
from hub_server import READER, WRITER, HubServer
from stzoo import bundle as bundles
from stzoo import card as cards
from stzoo.bundle import golden as files
from stzoo.card import Card
from stzoo.cli.publish import publish as command
from stzoo.errors import BundleError, HubError, UsageError
from stzoo.files import packaged
from stzoo.zoo import publishing, verifying
from stzoo.zoo.hub import Repository

TOY = Repository("lab/toy")


@pytest.fixture
def folder(tmp_path: Path, template_bundle: Path) -> Path:
    return Path(shutil.copytree(template_bundle, tmp_path / "tiny-opt"))


@pytest.fixture
def card(folder: Path) -> Card:
    """A card beside the bundle's files, with everything that a card can say."""
    card = Card(
        name="tiny-opt",
        title="Which way it goes",
        dataset="toy",
        task="way",
        backbone="densenet_tiny",
        strategy="Opt",
        weights="none",
        license="mit",
        data_license="made by ourselves",
        hub_dataset="lab/toy-videos",
        limits="It knows no diagonals.",
        body="Tells left from right.",
    )
    (folder / "tiny-opt.md").write_text(cards.render(card))
    return card


@pytest.fixture
def member(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The Hub, on which we may write to the organisation `lab`."""
    monkeypatch.setenv("HF_TOKEN", WRITER)
    return server


def changed(folder: Path, name: str, change: Callable[[dict], None]) -> Path:
    value = json.loads((folder / name).read_text())
    change(value)
    (folder / name).write_text(json.dumps(value))
    return folder


def test_a_bundle_is_published_in_one_commit_and_loads(member: HubServer, folder: Path, card: Card) -> None:
    verifying.make(folder)
    done = publishing.publish(folder, TOY)
    assert done.url == f"{member.url}/lab/toy"
    assert done.changed
    assert member.counted("/commit/main") == 1
    assert member.repos["lab/toy"].refs["main"] == done.commit
    for name in ("config.json", "model.safetensors", "template.safetensors", "README.md", "marginals.png"):
        assert name in member.files("lab/toy")
    assert "tiny-opt.md" not in member.files("lab/toy")
    model = stzoo.load("lab/toy", revision=done.commit)
    assert model.strategy == stzoo.load(folder).strategy
    assert verifying.verify("lab/toy", "torch").passed


def test_the_dry_run_writes_what_would_be_uploaded(member: HubServer, folder: Path, card: Card, tmp_path: Path) -> None:
    written = publishing.prepare(folder, tmp_path / "dry", TOY)
    publishing.publish(folder, TOY)
    names = {path.relative_to(written).as_posix() for path in written.rglob("*") if path.is_file()}
    assert names == member.files("lab/toy") - {".gitattributes"}
    for name in names:
        assert (written / name).read_bytes() == member.content("lab/toy", name), name
    with pytest.raises(BundleError, match="exists; choose another place"):
        publishing.prepare(folder, written, TOY)


def test_the_card_says_what_bundle_and_card_file_say(folder: Path, card: Card, tmp_path: Path) -> None:
    written = publishing.prepare(folder, tmp_path / "dry", Repository("lab/toy", "v2"))
    text = (written / "README.md").read_text()
    for part in (
        "# Which way it goes",
        "Tells left from right.",
        'stzoo.load("lab/toy@v2")',
        "![Strategy and marginals](marginals.png)",
        "| toy | test | 2 clips | top1 | 90.0 % | 85.0 to 94.0 % | 200 |",
        "It knows no diagonals.",
        "- weights: mit",
        "- training data (toy): made by ourselves",
        "@inproceedings{zhou2020spatiotemporal",
    ):
        assert part in text
    data = ModelCard(text).data
    assert (data.license, data.datasets, data.library_name) == ("mit", ["lab/toy-videos"], "stzoo")
    (entry,) = parse_eval_result_entries(yaml.safe_load((written / ".eval_results" / "toy.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("lab/toy-videos", "test-top1", 0.9)
    assert entry.notes == "2 clips; n = 200, 95 % interval 0.85 to 0.94"


def test_the_picture_is_made_of_the_bundle_and_of_nothing_else(folder: Path, tmp_path: Path) -> None:
    (folder / "marginals.png").write_bytes(b"of another bundle")
    (folder / "figures").mkdir()
    (folder / "figures" / "reliability.png").write_bytes(b"\x89PNG")
    written = publishing.prepare(folder, tmp_path / "dry", TOY)
    assert (written / "marginals.png").read_bytes().startswith(b"\x89PNG")
    text = (written / "README.md").read_text()
    assert "![Strategy and marginals](marginals.png)" in text
    assert "![reliability](figures/reliability.png)" in text
    (folder / "marginals.json").unlink()
    text = (publishing.prepare(folder, tmp_path / "fixed", TOY) / "README.md").read_text()
    assert "![Strategy](strategy.png)" in text
    assert "marginals" not in text


def test_without_a_card_no_licence_is_claimed(folder: Path, tmp_path: Path) -> None:
    said: list[str] = []
    text = (publishing.prepare(folder, tmp_path / "dry", TOY, say=said.append) / "README.md").read_text()
    assert "license:" not in text
    assert "- weights: not stated" in text
    assert "There is no tiny-opt.md" in said[0]


def test_a_runs_bundle_takes_its_card_from_the_run(folder: Path, card: Card, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(folder, run / "bundles" / "tiny-opt")
    (run / "bundles" / "tiny-opt" / "tiny-opt.md").rename(run / "tiny-opt.md")
    assert "# Which way it goes" in (publishing.prepare(run, tmp_path / "dry", TOY) / "README.md").read_text()


def test_files_that_are_no_bundles_stay_here(folder: Path, tmp_path: Path) -> None:
    (folder / ".env").write_text("secret")
    (folder / "checkpoint.safetensors").write_text("large")
    (tmp_path / "secret").write_text("secret")
    (folder / "figures").mkdir()
    said: list[str] = []
    written = publishing.prepare(folder, tmp_path / "dry", TOY, say=said.append)
    assert not {".env", "checkpoint.safetensors"} & {path.name for path in written.rglob("*")}
    assert any(".env stays here" in sentence for sentence in said)
    (folder / "figures" / "a.png").symlink_to(tmp_path / "secret")
    with pytest.raises(BundleError, match="leads out of its folder"):
        publishing.prepare(folder, tmp_path / "again", TOY)
    assert not (tmp_path / "again").exists()


def test_a_bundle_that_does_not_add_up_is_not_published(member: HubServer, folder: Path, tmp_path: Path) -> None:
    for number, (name, change, sentence) in enumerate(
        (
            ("config.json", lambda config: config.update(multiply_adds=5), "says 5 multiply-adds, the net takes"),
            ("metrics.json", lambda results: results[0].update(model="0" * 64), "numbers of other weights"),
        )
    ):
        copy = Path(shutil.copytree(folder, tmp_path / str(number)))
        with pytest.raises(BundleError, match=sentence):
            publishing.publish(changed(copy, name, change), TOY)
    shutil.copy(packaged("bundled") / "camera-motion-opt" / "golden.json", folder)
    with pytest.raises(BundleError, match="golden clips are of another model"):
        publishing.publish(folder, TOY)
    golden = files.read(verifying.make(folder))
    clips = [clip.model_copy(update={"probabilities": (1.0, 0.0, 0.0)}) for clip in golden.clips]
    golden.model_copy(update={"clips": tuple(clips)}).write(folder / files.GOLDEN)
    with pytest.raises(BundleError, match="has other answers than the net gives"):
        publishing.publish(folder, TOY)
    (folder / files.GOLDEN).unlink()
    shutil.copy(folder / "model.safetensors", folder / "template.safetensors")
    with pytest.raises(BundleError, match="does not fit"):
        publishing.publish(folder, TOY)
    assert member.requests == []


def test_who_is_nobody_or_has_no_rights_is_told(
    server: HubServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HubError, match=r"needs a token.*hf auth login"):
        publishing.publish(folder, TOY)
    assert server.requests == []
    for token, sentence in ((READER, "no right"), ("hf_wrong", "does not accept your token")):
        with pytest.raises(HubError, match=sentence):
            publishing.publish(folder, TOY, token=token)
    monkeypatch.setenv("HF_ENDPOINT", constants.ENDPOINT)
    with pytest.raises(HubError, match="cannot be reached for lab/toy"):
        publishing.publish(folder, TOY, token=WRITER)


def test_the_card_of_what_was_published_can_be_copied_from_what_is_said(
    member: HubServer, folder: Path, card: Card, tmp_path: Path
) -> None:
    result = CliRunner().invoke(command, [str(folder), "--repo", "lab/toy"], catch_exceptions=False)
    line = result.stderr.rpartition("`weights:")[2].partition("`")[0]
    text = cards.render(card).replace("weights: none", f"weights:{line}")
    (tmp_path / "tiny-opt.md").write_text(text)
    assert cards.read(tmp_path / "tiny-opt.md").where == f"lab/toy@{member.repos['lab/toy'].refs['main']}"


def test_the_command_prints_url_and_commit(member: HubServer, folder: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> list[str]:
        result = CliRunner().invoke(command, [str(folder), "--repo", "lab/toy", *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout.splitlines()

    assert run("--dry-run", "-o", str(tmp_path / "dry")) == [str(tmp_path / "dry")]
    assert member.requests == []
    assert run() == [f"{member.url}/lab/toy", f"commit {member.repos['lab/toy'].refs['main']}"]
    with pytest.raises(UsageError, match="give both or neither"):
        run("-o", "x")
    assert bundles.read(tmp_path / "dry").name == "tiny-opt"
