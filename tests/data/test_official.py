"""Annotation files that are not as they should be, and laws of those that are."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stzoo.data import official
from stzoo.errors import DataError

CLASSES = ("hurling (sport)", "massaging person's head", "yoga")
HEADER = "label,youtube_id,time_start,time_end,split"


def test_the_400_classes_are_in_order() -> None:
    names = official.kinetics400_classes()
    assert len(set(names)) == 400
    assert list(names) == sorted(names, key=str.casefold)
    assert (names[0], names[-1]) == ("abseiling", "zumba")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(CLASSES),
            st.text("abcXYZ019-_", min_size=11, max_size=11),
            st.integers(0, 999_989),
        )
    )
)
def test_a_kinetics_csv_is_read_as_it_was_written(rows: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*HEADER.split(","), "is_cc"])
            writer.writerows([label, video, start, start + 10, "train", 0] for label, video, start in rows)
        if not rows:
            with pytest.raises(DataError, match="lists no video"):
                official.read_kinetics(path, path.parent, CLASSES)
            return
        items = official.read_kinetics(path, path.parent, CLASSES)
        assert [(CLASSES[item.label], item.group) for item in items] == [(label, video) for label, video, _ in rows]
        assert [item.path.stem for item in items] == [f"{v}_{start:06d}_{start + 10:06d}" for _, v, start in rows]


@pytest.mark.parametrize("folder", [".", "train", "train/yoga"])
def test_a_kinetics_clip_that_is_missing_is_expected_beside_those_of_its_class(tmp_path: Path, folder: str) -> None:
    (tmp_path / "train.csv").write_text(f"{HEADER}\nyoga,abcdefghijk,1,11,train\nyoga,abcdefghijl,2,12,train\n")
    there = tmp_path / folder / "abcdefghijl_000002_000012.mp4"
    there.parent.mkdir(parents=True, exist_ok=True)
    there.touch()
    items = official.read_kinetics(tmp_path / "train.csv", tmp_path, CLASSES)
    assert [item.path for item in items] == [there.with_name("abcdefghijk_000001_000011.mp4"), there]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("label,youtube_id\nyoga,abcdefghijk\n", "no column time_start and no time_end"),
        ("youtube_id,time_start,time_end,split\n", "no column label, so nothing can be trained or measured on it; its"),
        (f"{HEADER}\nyoga,../../../etc,1,2,train\n", "is no YouTube id"),
        (f"{HEADER}\nyoga,abcdefghijk,1,x,train\n", "'x' is no time"),
        (f"{HEADER}\nyoga,abcdefghijk,1,11\n", "another number of columns"),
        (f"{HEADER}\nyoga,abcdefghijk,1,11,train,0,0\n", "another number of columns"),
        (f"{HEADER}\njoga,abcdefghijk,1,11,train\n", 'line 2: the label "joga" is none .* Did you mean "yoga"'),
        (f'{HEADER}\n"{"x" * 200_000}",abcdefghijk,1,11,train\n', "is not csv"),
        ("", "no column label"),
    ],
)
def test_a_kinetics_csv_that_is_not_one_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(DataError, match=sentence) as caught:
        official.read_kinetics(tmp_path / "train.csv", tmp_path, CLASSES)
    assert "\n" not in str(caught.value)


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 2)), min_size=1), st.sampled_from(["csv", "json"]))
def test_something_lists_are_read_as_they_were_written(pairs: list[tuple[int, int]], suffix: str) -> None:
    names = ("Putting something on something", "Throwing something", "Moving part of something")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"train.{suffix}"
        if suffix == "csv":
            path.write_text("\n".join(f"{video};{names[label]}" for video, label in pairs))
        else:
            templates = [name.replace("something", "[something]").replace("part", "[part]") for name in names]
            path.write_text(
                json.dumps([{"id": f"{v}", "template": templates[label], "label": "x"} for v, label in pairs])
            )
        items = official.read_something(path, path.parent / "videos", names)
        assert [(item.path.stem, item.label) for item in items] == [(f"{video}", label) for video, label in pairs]


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("t.csv", "1;Dancing\n", 'line 1: the label "Dancing" is none of the 1 classes'),
        ("t.csv", "../1;Doing\n", "is no number"),
        ("t.csv", "1\n", "video 1 has no label"),
        ("t.csv", "\n", "lists no video"),
        ("t.json", "{}", "not a list of objects"),
        ("t.json", "[1]", "not a list of objects"),
        ("t.json", '[{"template": "Doing"}]', "'None' is no number"),
        ("t.json", '[{"id": "1"}]', "has no label"),
        ("t.json", "[" * 100_000, "is not JSON"),
        ("t.json", "nonsense", "is not JSON"),
        ("t.json", b"\xff\xfe", "UTF-8"),
        ("t.csv", b"1;\xe9", "UTF-8"),
    ],
)
def test_a_something_list_that_is_not_one_is_refused(
    tmp_path: Path, name: str, text: str | bytes, sentence: str
) -> None:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=sentence) as caught:
        official.read_something(tmp_path / name, tmp_path, ("Doing",))
    assert "\n" not in str(caught.value)


@given(st.permutations([f"Doing [something] {i}" for i in range(5)]))
def test_something_classes_have_the_order_of_their_indices(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.json"
        entries = {name: f"{index}" for index, name in enumerate(names)}
        path.write_text(json.dumps(dict(sorted(entries.items()))))
        assert official.read_something_classes(path) == tuple(n.replace("[", "").replace("]", "") for n in names)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"a": "1"}', '{"a": "0", "b": "0"}', '{"a": null}', '{"[a]": 0, "a": 1}']
)
def test_something_classes_without_an_order_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError, match=r"labels\.json"):
        official.read_something_classes(tmp_path / "labels.json")


@pytest.mark.parametrize("text", ["", "ApplyEyeMakeup\n", "0 A\n1 B\n", "1 A\n3 B\n", "1 A\n2 A\n", "1 A\n2\n"])
def test_ucf_classes_without_an_order_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "classInd.txt").write_text(text)
    with pytest.raises(DataError, match=r"classInd\.txt"):
        official.read_ucf101_classes(tmp_path / "classInd.txt")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("A/v_A_g01_c01.avi 2", "the index 2 is not that of A, which is 1"),
        ("C/v_C_g01_c01.avi 3", 'the label "c" is none'),
        ("v_A_g01_c01.avi", "is not `Class/video.avi`"),
        ("../A/v_A_g01_c01.avi", "is not `Class/video.avi`"),
        ("../v_A_g01_c01.avi", "is not `Class/video.avi`"),
        ("/A/v_A_g01_c01.avi", "is not `Class/video.avi`"),
    ],
)
def test_a_ucf_line_that_is_not_one_is_refused(tmp_path: Path, line: str, sentence: str) -> None:
    (tmp_path / "list.txt").write_text(f"{line}\n")
    with pytest.raises(DataError, match=sentence):
        official.read_ucf101(tmp_path / "list.txt", tmp_path, ("A", "B"))
