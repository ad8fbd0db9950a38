"""Frames: what breaks the protocol is a typed error, never anything worse."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.messages import Diagnostic, EditRequest
from engine.service import frames
from engine.service.frames import FrameError

REQUEST = EditRequest("fix", "a", "b", "c", diagnostics=(Diagnostic(1, 2, "m"),), strength=0.5)


def test_a_request_survives_the_wire() -> None:
    frame = frames.unpack(frames.pack("edit", id=1, request=REQUEST)[4:])
    assert frames.field(frame, "request", EditRequest) == REQUEST


@given(st.binary(max_size=300))
def test_hostile_bytes_are_a_frame_error_or_a_map(body: bytes) -> None:
    try:
        assert isinstance(frames.unpack(body), dict)
    except FrameError as error:
        assert error.code == "bad_request"


values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from([*EditRequest.__dataclass_fields__, "other"]), values, max_size=6))
def test_a_wrong_request_is_a_frame_error_that_quotes_nothing(fields: dict[str, object]) -> None:
    try:
        frames.structure(fields, EditRequest, "edit.request")
    except FrameError as error:
        assert str(error).startswith("edit.request is not valid")


@pytest.mark.parametrize("change", [{"candidates": "4"}, {"intent": "destroy"}, {"span": None}, {"extra": 1}])
def test_wrong_types_and_unknown_fields_are_refused(change: dict[str, object]) -> None:
    plain = frames.unpack(frames.pack("edit", id=1, request=REQUEST)[4:])["request"]
    with pytest.raises(FrameError):
        frames.structure({**plain, **change}, EditRequest, "edit.request")


def test_too_large_a_frame_is_not_sent() -> None:
    with pytest.raises(FrameError, match="limit"):
        frames.pack("edit", text="x" * (frames.MAX_FRAME + 1))


def test_deep_nesting_is_refused() -> None:
    body = b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(FrameError):
        frames.unpack(body)
    assert msgpack.packb({}) == b"\x80"
