"""A canvas's answer does not depend on what it is evaluated with, nor on which rows are asked for."""

from __future__ import annotations

import pytest
import torch

from engine.editing import warm_context
from engine.messages import EditRequest
from engine.models import denoiser as module
from engine.models.denoiser import CanvasItem, Context, EmbeddedDenoiser, passes
from engine.models.vocabulary import BOS, MASK

PREFIX = "import os\n\n\ndef size(path):\n"
SUFFIX = "\n\n\nprint(size('x'))\n"


def make_items(denoiser: EmbeddedDenoiser) -> list[CanvasItem]:
    encode = denoiser.vocabulary.encode
    contexts = [
        Context((), tuple(encode(PREFIX)), tuple(encode(SUFFIX))),
        Context(tuple(encode("speed up")), tuple(encode(PREFIX * 9)), ()),
        Context((), (), ()),
    ]
    spans = ["    return os.stat(path).st_size", "    x = 1\n    return x\n", "pass"]
    return [CanvasItem(c, (BOS, *encode(span), MASK, MASK)) for span in spans for c in contexts]


def test_a_batch_answers_as_each_canvas_alone(denoiser: EmbeddedDenoiser) -> None:
    items = make_items(denoiser)
    for item, together in zip(items, denoiser.denoise(items), strict=True):
        (alone,) = denoiser.denoise([item])
        assert together.tokens.shape == (len(item.canvas), denoiser.vocabulary.size)
        torch.testing.assert_close(together.tokens, alone.tokens, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(together.inserts, alone.inserts, atol=1e-4, rtol=1e-4)


def test_rows_are_those_of_the_whole_answer(denoiser: EmbeddedDenoiser) -> None:
    whole = make_items(denoiser)
    rows = [(len(item.canvas) - 2, len(item.canvas) - 1) if i % 2 else (1,) for i, item in enumerate(whole)]
    parts = [CanvasItem(item.context, item.canvas, wanted) for item, wanted in zip(whole, rows, strict=True)]
    answers = denoiser.denoise([*whole, *parts])
    for full, part, wanted in zip(answers, answers[len(whole) :], rows, strict=False):
        torch.testing.assert_close(part.tokens, full.tokens[list(wanted)], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(part.inserts, full.inserts[list(wanted)], atol=1e-4, rtol=1e-4)


def test_typing_beyond_the_window_leaves_the_cached_context(denoiser: EmbeddedDenoiser) -> None:
    near, after = "".join(f"value_{i} = compute({i})\n" for i in range(300)), "\nprint(1)\n" * 300
    before = EditRequest("fix", "import os\n" + near, "x = (1\n", after)
    typed = EditRequest("fix", "import os, sys  # and more\n" + near, "x = (1\n", after + "y = 2\n")
    warm_context(before, denoiser)
    known = set(denoiser._contexts)
    warm_context(typed, denoiser)
    assert set(denoiser._contexts) == known


def test_passes_are_bounded_and_keep_the_order(denoiser: EmbeddedDenoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    items = make_items(denoiser)
    expected = denoiser.denoise(items)
    monkeypatch.setattr(denoiser, "_pass_tokens", 20)
    assert all(len(places) == 1 or sum(len(items[i].canvas) for i in places) <= 20 for places in passes(items, 20))
    for ours, theirs in zip(denoiser.denoise(items), expected, strict=True):
        torch.testing.assert_close(ours.tokens, theirs.tokens, atol=1e-4, rtol=1e-4)


def test_the_context_cache_is_bounded_in_bytes(denoiser: EmbeddedDenoiser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoiser, "_cache_bytes", 8_000_000)
    for i in range(20):
        denoiser.warm(Context((), tuple(denoiser.vocabulary.encode(f"x = {i}\n" * 60)), ()))
    assert denoiser._bytes <= 8_000_000
    assert denoiser._bytes == sum(module.key_value_bytes(kv) for kv in denoiser._contexts.values())
