"""What is read along with the tokens of a draft."""

from __future__ import annotations

import pytest

from engine.lookup import MATCHED, continuation


@pytest.mark.parametrize(
    ("read", "follows"),
    [
        ([1, 2, 3, 4, 1, 2], (3, 4, 1, 2)),
        ([1, 2, 3, 9, 2, 5, 1, 2], (3, 9, 2, 5, 1, 2)),  # two tokens that match count more than one later on
        ([1, 2, 7, 1, 2, 8, 1, 2], (8, 1, 2)),  # the last time
        ([1, 2, 3], ()),
        ([], ()),
        ([5, 5], (5,)),
    ],
)
def test_what_followed_before_is_expected_again(read: list[int], follows: tuple[int, ...]) -> None:
    assert continuation(read, 100) == follows


@pytest.mark.parametrize(("matching", "expected"), [(1, 2), (2, 4), (MATCHED, 12), (MATCHED + 3, 12)])
def test_the_more_tokens_match_the_more_are_read_along(matching: int, expected: int) -> None:
    known = list(range(100, 100 + matching))
    assert continuation([*known, *range(20), *known], 12) == tuple(range(expected))
