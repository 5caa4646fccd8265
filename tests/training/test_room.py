from __future__ import annotations

from stzoo.training.room import Room


def test_memory_is_used_again_once_nobody_holds_it() -> None:
    room = Room()
    first, second = room.take((2, 3)), room.take((2, 3))
    part, place, other = first[:1], first.data_ptr(), second.data_ptr()
    del first
    third = room.take((2, 3))
    assert third.data_ptr() not in (place, other), "a part of it is held"
    del part, second
    assert room.take((6,)).data_ptr() in (place, other)
    assert room.take((100,)).data_ptr() not in (place, other), "it is too small"
