from __future__ import annotations

import pytest

from stzoo.files import slug


@pytest.mark.parametrize(
    ("text", "kept", "name"),
    [
        ("Something-Something V1", "A-Za-z0-9._-", "Something-Something-V1"),
        ("my videos, 2nd try", "a-z0-9", "my-videos-2nd-try"),
        ("../up", "A-Za-z0-9._-", "up"),
        ("???", "a-z", "nothing"),
    ],
)
def test_a_text_becomes_the_name_of_a_file(text: str, kept: str, name: str) -> None:
    assert slug(text, kept, otherwise="nothing") == name
