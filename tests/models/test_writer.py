"""The embedded writer: its weights are what they should be, and what it keeps never changes an answer."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch

from engine.models.denoiser import CanvasItem, Context
from engine.models.foreign import PROBE
from engine.models.loading import EMBEDDED, WRITER, load_writer
from engine.models.quantised import GROUP, Packed
from engine.models.vocabulary import BOS, MASK
from engine.models.writer import KeptStates, Writer, common

TEXT = inspect.getsource(json.JSONDecoder)


@pytest.fixture(scope="module")
def writer() -> Writer:
    loaded = load_writer("cpu")
    assert isinstance(loaded, Writer)
    return loaded


def fresh(writer: Writer) -> Writer:
    """The same, having read nothing."""
    return Writer(writer.network, writer.vocabulary, writer.name, writer.turn_ends)


def context(writer: Writer, prefix: str) -> Context:
    return Context((), tuple(writer.vocabulary.encode(prefix)), (), ordered=True)


def test_the_weights_fit_the_repository() -> None:
    sizes = [file.stat().st_size for file in EMBEDDED.parent.rglob("*") if file.is_file()]
    assert sum(sizes) <= 70 * 10**6
    assert max(sizes) <= 16 * 2**20


def test_it_knows_python(writer: Writer) -> None:
    """0.91 bits per character when it was packed; the small model's own text is not read any better."""
    ids = writer.vocabulary.encode(TEXT)[:500]
    (logits,) = writer.denoise([CanvasItem(context(writer, ""), (BOS, *ids))])
    nats = -logits.tokens[1:].gather(1, torch.tensor(ids)[:, None]).sum()
    assert nats / np.log(2) / len(writer.vocabulary.decode(ids)) < 1.1


@pytest.mark.parametrize("text", [PROBE, "<|im_end|>\r\n\t日本語 🙂", "", "x" * 1000])
def test_texts_come_back(writer: Writer, text: str) -> None:
    assert writer.vocabulary.decode(writer.vocabulary.encode(text)) == text


def test_mask_by_mask_is_the_same_as_at_once(writer: Writer) -> None:
    ids = writer.vocabulary.encode("    def encode(self, o):\n        return o\n")
    before = context(writer, TEXT[:800])
    (whole,) = fresh(writer).denoise([CanvasItem(before, (BOS, *ids))])
    stepwise = fresh(writer)
    for i in range(len(ids)):
        canvas = (BOS, *ids[:i], MASK)
        (step,) = stepwise.denoise([CanvasItem(before, canvas, rows=(i + 1,))])
        torch.testing.assert_close(step.tokens[0], whole.tokens[i + 1], atol=1e-3, rtol=1e-3)
    assert len(stepwise._canvases) == len(ids)


def test_of_tokens_read_along_any_beginning_is_kept(writer: Writer) -> None:
    ids = writer.vocabulary.encode("    def encode(self, o):\n        return o\n")
    before = context(writer, TEXT[:800])
    reading = fresh(writer)
    rows = tuple(range(3, 9))
    (along,) = reading.denoise([CanvasItem(before, (BOS, *ids[:7], MASK), rows)])
    for taken in (5, 7, 2):
        other = (BOS, *ids[:taken], ids[0], MASK)
        (step,) = reading.denoise([CanvasItem(before, other, rows=(taken + 2,))])
        (alone,) = fresh(writer).denoise([CanvasItem(before, other, rows=(taken + 2,))])
        torch.testing.assert_close(step.tokens, alone.tokens, atol=1e-3, rtol=1e-3)
    (whole,) = fresh(writer).denoise([CanvasItem(before, (BOS, *ids))])
    torch.testing.assert_close(along.tokens, whole.tokens[list(rows)], atol=1e-3, rtol=1e-3)


def test_a_batch_answers_as_each_canvas_alone(writer: Writer) -> None:
    encode = writer.vocabulary.encode
    contexts = [context(writer, text) for text in (TEXT[:300], TEXT[:500], "", TEXT[300:900])]
    texts = ("\n    return 1", "\n    raise ValueError(name)\n\n", "")
    items = [CanvasItem(c, (BOS, *encode(text), MASK)) for text in texts for c in contexts]
    for item, together in zip(items, fresh(writer).denoise(items), strict=True):
        (alone,) = fresh(writer).denoise([item])
        assert together.tokens.shape == (len(item.canvas), writer.vocabulary.size)
        torch.testing.assert_close(together.tokens, alone.tokens, atol=1e-3, rtol=1e-3)


def test_a_context_that_grew_is_read_on_from_where_it_stood(writer: Writer) -> None:
    reading = fresh(writer)
    for length in (400, 700, 550, 700):
        reading.warm(context(writer, TEXT[:length]))
    item = CanvasItem(context(writer, TEXT[:700]), (BOS, MASK))
    torch.testing.assert_close(
        reading.denoise([item])[0].tokens, fresh(writer).denoise([item])[0].tokens, atol=1e-3, rtol=1e-3
    )


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.writer.CACHED", 1000)
    kept = KeptStates()
    for i in range(10):
        kept.keep(((i,), ()), torch.zeros(100))  # 400 bytes
        if i == 1:
            assert kept[(0,), ()] is not None  # looked at: the other one goes first
        if i == 2:
            assert list(kept) == [((0,), ()), ((2,), ())]
    assert len(kept) == 2


def test_what_stands_below_is_in_view_and_what_stands_above_read_once(writer: Writer) -> None:
    """Kept states belong to both: another suffix, or none, is another context."""
    encode = writer.vocabulary.encode
    above, below = tuple(encode("def total(values):")), tuple(encode("\n    return result\n"))
    ids = encode("\n    result = sum(values)")
    reading = fresh(writer)
    answers: list[torch.Tensor] = []
    for suffix in ((), below, below[:2], below):
        seen = Context((), above, suffix, ordered=True)
        for i in range(len(ids)):
            (step,) = reading.denoise([CanvasItem(seen, (BOS, *ids[:i], MASK), rows=(i + 1,))])
        (whole,) = fresh(writer).denoise([CanvasItem(seen, (BOS, *ids))])
        torch.testing.assert_close(step.tokens[0], whole.tokens[-1], atol=1e-3, rtol=1e-3)
        answers.append(whole.tokens[1:].gather(1, torch.tensor(ids)[:, None]).sum())
    assert answers[1] > answers[0] + 1.0
    ends: list[float] = []
    for suffix in ((), below):
        item = CanvasItem(Context((), above, suffix, ordered=True), (BOS, *ids, MASK), (len(ids) + 1,))
        ends.append(float(writer.denoise([item])[0].tokens[0, writer.turn_ends[1]]))
    assert ends[1] > ends[0] + 1.0


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [((), (1,), 0), ((1, 2), (1, 2, 3), 2), ((1, 2, 3, 4), (1, 2, 9, 4), 2), ((5,), (6,), 0), ((1, 2), (1, 2), 2)],
)
def test_what_two_contexts_begin_with(one: tuple[int, ...], other: tuple[int, ...], length: int) -> None:
    assert common(one, other) == common(other, one) == length


def test_packing_keeps_the_codes_and_nearly_the_rest() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (8, 2 * GROUP // 2), dtype=np.uint8)
    scale = np.exp(rng.normal(-3, 0.5, (8, 2))).astype(np.float32)
    low = (-scale * rng.uniform(5, 10, (8, 2))).astype(np.float32)
    packed = Packed.of(codes, scale, low)
    nibbles = codes.reshape(8, 2, GROUP // 2)
    exact = np.concatenate((nibbles & 15, nibbles >> 4), -1) * scale[..., None] + low[..., None]
    assert np.array_equal(packed.codes, codes)
    off = np.linalg.norm(packed.weights().numpy().reshape(exact.shape) - exact) / np.linalg.norm(exact)
    assert off < 0.02


def test_damaged_weights_leave_the_small_model_to_write(monkeypatch: pytest.MonkeyPatch, tmp_path, caplog) -> None:
    for file in WRITER.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:1000])
    monkeypatch.setattr("engine.models.loading.WRITER", tmp_path)
    assert load_writer("cpu") is None
    assert "reinstall redraft" in caplog.text
