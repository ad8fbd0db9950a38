from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation import metrics


def test_wilson_interval_matches_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3 (score, no continuity correction).
    for hits, of, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        found = metrics.rate([True] * hits + [False] * (of - hits))
        assert (found.hits, found.of) == (hits, of)
        assert found.low == pytest.approx(low, abs=5e-5)
        assert found.high == pytest.approx(high, abs=5e-5)


@given(st.lists(st.booleans(), min_size=1, max_size=300))
def test_wilson_interval_holds_the_share(outcomes: list[bool]):
    found = metrics.rate(outcomes)
    assert 0 <= found.low <= found.share <= found.high <= 1


def test_no_cases_make_no_figures():
    assert metrics.rate([]) == metrics.Rate(0, 0, None, None, None)
    assert metrics.spread([]) == metrics.Spread(0, None, None, None)
    assert metrics.mean_of([]) == metrics.Mean(0, None, None, None)


def test_spread_interpolates():
    assert metrics.spread([4.0, 1.0, 3.0, 2.0]) == metrics.Spread(4, 2.5, 2.5, pytest.approx(3.85))


def test_pass_at_k_is_the_share_of_draws_with_a_pass():
    rng = Random(0)
    outcomes = [True] * 3 + [False] * 7
    drawn = sum(any(rng.sample(outcomes, 4)) for _ in range(20_000)) / 20_000
    assert metrics.pass_at_k(10, 3, 4) == pytest.approx(drawn, abs=0.015)
    assert metrics.pass_at_k(10, 3, 1) == pytest.approx(0.3)
    assert metrics.pass_at_k(10, 0, 10) == 0
    assert metrics.pass_at_k(10, 7, 4) == 1


@pytest.mark.parametrize(("samples", "passed", "k"), [(5, 1, 6), (5, 6, 1), (5, 1, 0)])
def test_pass_at_k_refuses_impossible_numbers(samples: int, passed: int, k: int):
    with pytest.raises(ValueError, match="samples"):
        metrics.pass_at_k(samples, passed, k)


def test_bootstrap_interval_is_near_the_normal_one():
    values = [Random(i).random() for i in range(400)]
    found = metrics.mean_of(values)
    half = 1.96 * math.sqrt(1 / 12 / 400)
    assert found.low == pytest.approx(found.mean - half, abs=0.005)
    assert found.high == pytest.approx(found.mean + half, abs=0.005)


def test_auroc_is_the_share_of_pairs_in_order():
    assert metrics.auroc([1, 2, 3, 4], [False, False, True, True]) == 1
    assert metrics.auroc([1, 2, 3, 4], [True, True, False, False]) == 0
    assert metrics.auroc([1, 1], [True, False]) == 0.5
    assert metrics.auroc([1, 2, 3], [False, True, False]) == 0.5
    assert metrics.auroc([1, 2], [True, True]) is None


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("x = 1\n", "x = 1\n", True),
        ("x = 1  \n", "x = 1\n", True),
        ("x = 1\n\n\n", "x = 1", True),
        ("s = '''a  \nb'''\n", "s = '''a\nb'''\n", False),  # inside a string it means something
        ("x = (1  \n", "x = (1\n", False),  # no parser to say that it means nothing
        ("x = 1\n", "x =  1\n", False),  # only the ends of lines are forgiven
        ("x = 1\n", "x = 2\n", False),
    ],
)
def test_same_text(left: str, right: str, same: bool):
    assert metrics.same_text(left, right) is same
    assert metrics.same_text(right, left) is same


def test_same_tree_forgives_layout_and_comments_only():
    assert metrics.same_tree("f(a,b)  # why\n", "f(\n    a, b)\n")
    assert not metrics.same_tree("f(a, b)\n", "f(b, a)\n")
    assert not metrics.same_tree("f(\n", "f(\n")


def test_compiles_sees_what_the_parser_alone_does_not():
    assert metrics.compiles("def f():\n    return 1\n")
    assert not metrics.compiles("return 1\n")
