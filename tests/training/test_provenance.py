from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import stzoo
from stzoo.training.provenance import source_commit


def test_the_commit_of_a_checkout_is_told_and_whether_files_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "stzoo"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(stzoo, "__file__", str(package / "__init__.py"))
    assert source_commit() is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First"]):
        subprocess.run([*git, *words], check=True)
    commit = source_commit()
    assert commit is not None
    assert len(commit) == 40
    (package / "__init__.py").write_text("changed")
    assert source_commit() == f"{commit}, changed"
