"""The base model as it is served answers as the network that is trained, whatever else is asked with it. Its weights
here are the writer's, with random rows for the reserved tokens and a random head for insert counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engine.diffusion.alignment import Targets
from engine.diffusion.forward import Noisy
from engine.errors import EditError
from engine.models.base import Base
from engine.models.denoiser import CanvasItem, CanvasLogits, Context
from engine.models.loading import WRITER, load_denoiser
from engine.models.vocabulary import BOS, DEL, END, INSTRUCTION, MASK, RESERVED
from engine.models.writer import Writer
from engine.models.writer_network import GAP, MAX_INSERT, read_weights
from engine.training.base import BaseNetwork
from engine.training.rows import as_rows, empty

HIDDEN = 576


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("denoises")
    for file in WRITER.iterdir():
        (made / file.name).symlink_to(file)
    rng = np.random.default_rng(0)
    shapes = {
        "reserved": (len(RESERVED), HIDDEN),
        "insert.weight": (MAX_INSERT + 1, HIDDEN),
        "insert.bias": MAX_INSERT + 1,
    }
    scaled = {name: rng.normal(0, 0.1, shape).astype(np.float16) for name, shape in shapes.items()}
    np.savez(made / "weights-9.npz", allow_pickle=False, **scaled)
    return made


@pytest.fixture(scope="module")
def base(folder: Path) -> Base:
    loaded = load_denoiser(folder, "cpu")
    assert isinstance(loaded, Base)
    return loaded


@pytest.fixture(scope="module")
def items(base: Base) -> list[CanvasItem]:
    """Three canvases over one context, then some over others."""
    encode = base.vocabulary.encode
    told = tuple(encode("count the lines"))
    above, below = tuple(encode("import os\n\n\ndef lines(path):\n")), tuple(encode("\n\n\nprint(lines('a'))\n"))
    contexts = [Context(told, above, below), Context((), above, below), Context((), (), ()), Context((), above[:5], ())]
    texts = ("    with open(path) as file:\n        return len(", "    return", "")
    canvases = [(BOS, *encode(text), MASK, MASK, *encode(")\n")) for text in texts]
    first = [CanvasItem(contexts[0], canvas) for canvas in canvases]
    return first + [CanvasItem(context, canvases[i % 2]) for i, context in enumerate(contexts[1:])]


def fresh(base: Base) -> Base:
    """The same, having read nothing."""
    return Base(base.writer)


def alike(one: CanvasLogits, other: CanvasLogits, tolerance: float = 1e-3) -> None:
    torch.testing.assert_close(one.tokens, other.tokens, atol=tolerance, rtol=0.01)
    torch.testing.assert_close(one.inserts, other.inserts, atol=tolerance, rtol=0.01)


def trained(network: BaseNetwork, context: Context, canvases: list[tuple[int, ...]]) -> list[CanvasLogits]:
    """What the network that is trained tells, in one row."""
    instruction = (INSTRUCTION, *context.instruction) if context.instruction else ()
    prefix = (*instruction, *(context.prefix or (END,)))
    place, document = len(prefix) - 1, empty()
    document.read(prefix[:-1], 0)
    document.read(context.suffix, place + GAP)
    for canvas in canvases:
        settled = Targets(list(canvas), [0] * len(canvas))
        document.denoise(prefix[-1], Noisy(list(canvas), settled), place, MAX_INSERT, [True] * len(canvas))
    embedding = network.embedding
    states = network.states(as_rows([[document]], len(document.ids) + 3), embedding)[0]
    banned = [token for token in range(len(RESERVED)) if token != DEL]
    answers: list[CanvasLogits] = []
    for number, canvas in enumerate(canvases, 1):
        own = states[[i for i, canvas_of in enumerate(document.canvas) if canvas_of == number]]
        logits = F.linear(own[:-1], embedding)
        logits[:, banned] = -torch.inf
        front = torch.full((1, logits.shape[1]), -torch.inf)
        front[0, BOS] = 0.0
        inserts = F.linear(own, network.insert_weight, network.insert_bias).log_softmax(-1)
        assert len(own) == len(canvas)
        answers.append(CanvasLogits(torch.cat((front, logits.log_softmax(-1))), inserts))
    return answers


class Exact:
    """`HalfLinear` in full precision."""

    def __init__(self, weights: torch.Tensor, device: str) -> None:
        self.weights = weights

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights.T


@torch.no_grad()
def test_it_answers_as_the_trained_network(
    folder: Path, base: Base, items: list[CanvasItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As near as float16 allows, and in full precision exactly: with random rows some canvases are chaotic."""
    network = BaseNetwork(folder)
    monkeypatch.setattr("engine.models.writer_network.HalfLinear", Exact)
    exact = Base.load(folder)
    reserved, own = network.embedding[: len(RESERVED)], network.embedding[len(RESERVED) :]
    exact.network.embedding = torch.cat((own, reserved))
    for context in dict.fromkeys(item.context for item in items):
        asked = [item for item in items if item.context == context]
        told = trained(network, context, [item.canvas for item in asked])
        for i, expected in enumerate(told):
            alike(exact.denoise(asked)[i], expected, tolerance=2e-3)
            if context == items[0].context:
                alike(fresh(base).denoise(asked)[i], expected, tolerance=0.05)


def test_a_batch_answers_as_each_canvas_alone(base: Base, items: list[CanvasItem]) -> None:
    order = [3, 0, 5, 1, 4, 2]
    for i, together in zip(order, fresh(base).denoise([items[i] for i in order]), strict=True):
        (alone,) = fresh(base).denoise([items[i]])
        assert together.tokens.shape == (len(items[i].canvas), base.vocabulary.size)
        assert together.inserts.shape == (len(items[i].canvas), MAX_INSERT + 1)
        alike(together, alone)


def test_rows_are_those_of_all(base: Base, items: list[CanvasItem]) -> None:
    wanted = [(0, 2), (3,), (1, 0), (), (2, 1), (0,)]
    asked = [CanvasItem(item.context, item.canvas, rows) for item, rows in zip(items, wanted, strict=True)]
    whole = base.denoise(items)
    for rows, part, all_rows in zip(wanted, fresh(base).denoise(asked + items)[: len(asked)], whole, strict=True):
        chosen = list(rows)
        alike(part, CanvasLogits(all_rows.tokens[chosen], all_rows.inserts[chosen]))


def test_what_stands_above_is_read_once(base: Base, items: list[CanvasItem]) -> None:
    """What stands below, and where it stands, changes nothing of it."""
    above = items[0].context
    reading = fresh(base)
    for prefix in (above.prefix[:4], above.prefix, above.prefix[:6]):
        reading.warm(Context(above.instruction, prefix, above.suffix[:3]))
    alike(reading.denoise(items[:1])[0], fresh(base).denoise(items[:1])[0])


def test_the_writer_answers_where_masks_are_filled_in_order(base: Base, items: list[CanvasItem]) -> None:
    """As it does where the reserved tokens are none of its own."""
    ordered = CanvasItem(Context((), items[0].context.prefix, (), ordered=True), items[0].canvas)
    mixed = fresh(base).denoise([items[0], ordered, items[1]])
    (alone,) = Writer.load(WRITER).denoise([ordered])
    torch.testing.assert_close(mixed[1].tokens, alone.tokens, atol=1e-3, rtol=1e-3)
    alike(mixed[2], fresh(base).denoise([items[1]])[0])


def test_a_folder_that_only_writes_is_told_so(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        if not file.name.startswith("weights"):
            (tmp_path / file.name).symlink_to(file)
    arrays = read_weights(folder)
    np.savez(tmp_path / "weights-1.npz", allow_pickle=False, **{n: a for n, a in arrays.items() if n != "reserved"})
    with pytest.raises(EditError, match="only writes"):
        load_denoiser(tmp_path, "cpu")
