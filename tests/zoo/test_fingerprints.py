from __future__ import annotations

import json
from pathlib import Path

import pytest

from stzoo.errors import BundleError
from stzoo.video.video import Video
from stzoo.zoo import fingerprints
from stzoo.zoo.fingerprints import TRAINED_ON, fingerprint, seen_in_training, trained_on


def videos(folder: Path, count: int) -> list[Video]:
    folder.mkdir(exist_ok=True)
    for index in range(count):
        (folder / f"{index}.mp4").write_bytes(bytes(index))
    return [Video(folder / f"{index}.mp4") for index in range(count)]


def test_copies_are_known_and_others_are_not(tmp_path: Path) -> None:
    trained, copies, others = videos(tmp_path / "a", 5), videos(tmp_path / "b", 3), videos(tmp_path / "c", 9)[5:]
    assert seen_in_training(tmp_path, trained) is None
    (tmp_path / TRAINED_ON).write_text(json.dumps(trained_on(trained)))
    assert seen_in_training(tmp_path, others) is None
    sentence = seen_in_training(tmp_path, [*copies, *others])
    assert sentence == "3 of the 7 videos trained this model; what it reaches on them says little about other videos."


def test_of_a_long_list_a_part_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprints, "MOST", 20)
    trained = videos(tmp_path / "a", 200)
    written = trained_on(trained)
    assert (written["videos"], len(written["fingerprints"])) == (200, 20)
    (tmp_path / TRAINED_ON).write_text(json.dumps(written))
    assert (seen_in_training(tmp_path, trained) or "").startswith("about 100% of the videos trained")
    assert seen_in_training(tmp_path, videos(tmp_path / "b", 400)[200:]) is None
    others = [Video(tmp_path / "b" / f"{index}.mp4") for index in range(400)]
    share = int((seen_in_training(tmp_path, others) or "").split()[1].rstrip("%"))
    assert 25 <= share <= 75


def test_folders_of_frames_have_fingerprints_too(tmp_path: Path) -> None:
    for name in ("a/1/1.jpg", "a/1/2.jpg", "b/1/1.jpg", "b/1/2.jpg", "c/1/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    one, same, other, inside = (fingerprint(Video(tmp_path / name)) for name in ("a/1", "b/1", "c/1", "x.zip/1"))
    assert one == same
    assert len({one, other, inside}) == 3


def test_a_file_without_fingerprints_knows_none(tmp_path: Path) -> None:
    (tmp_path / TRAINED_ON).write_text('{"videos": 5, "fingerprints": []}')
    assert seen_in_training(tmp_path, videos(tmp_path / "a", 2)) is None


@pytest.mark.parametrize("text", ["[]", "{}", '{"videos": 1, "fingerprints": [1]}', "no JSON"])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / TRAINED_ON).write_text(text)
    with pytest.raises(BundleError, match=TRAINED_ON):
        seen_in_training(tmp_path, ())
