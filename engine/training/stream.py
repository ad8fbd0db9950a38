"""The endless, seeded stream of training batches; runs in worker processes so that corruption stays off the
critical path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import Random

from torch.utils.data import IterableDataset, get_worker_info

from engine.models.span_denoiser import ARTwinConfig, SpanDenoiserConfig
from engine.training.batches import Batch, denoiser_batch, twin_batch
from engine.training.examples import Source, SpanExample, StreamConfig

POOL = 16  # batches sorted by length together, so that padding stays small


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the endless stream to begin: at `step`, as process `shard` of several."""

    step: int = 0
    shard: int = 0


class TrainingStream(IterableDataset[Batch]):
    """Yields batches for ever. Which one comes at a step depends on seed, number of workers and shard alone,
    so that a resumed run sees what it would have seen."""

    def __init__(self, config: StreamConfig, model: SpanDenoiserConfig, place: Place) -> None:
        super().__init__()
        self.config, self.model, self.place = config, model, place

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        workers, own = (worker.num_workers, worker.id) if worker else (1, 0)
        # The loader takes turns and begins with worker 0, wherever the run begins.
        lane, first = (self.place.step + own) % workers, (self.place.step + own) // workers
        collate = twin_batch if isinstance(self.model, ARTwinConfig) else denoiser_batch
        source = Source(self.config)
        for number in count(first // POOL):
            source.rng = Random(f"{self.config.seed}/{self.place.shard}/{lane}/{number}")
            for examples in islice(pool(source, self.model.max_canvas), first % POOL, None):
                yield collate(examples, self.model, self.config.window)
            first = 0


def pool(source: Source, longest: int) -> Iterator[list[SpanExample]]:
    """The examples of POOL batches of one kind, those of similar length together, in random order."""
    c, choice = source.config, source.rng.random()
    if choice < c.windows:
        for _ in range(POOL):
            yield [draw(source.window, 10 * c.window) for _ in range(c.batch)]
        return
    make = source.real_edit if choice < c.windows + c.edits else source.span
    examples = [draw(make, longest) for _ in range(c.batch * POOL)]
    examples.sort(key=lambda e: max(len(n.tokens) for n in e.noisy))
    chunks = [examples[i : i + c.batch] for i in range(0, len(examples), c.batch)]
    source.rng.shuffle(chunks)
    yield from chunks


def draw(make: Callable[[], SpanExample | None], longest: int) -> SpanExample:
    """An example whose canvases have at most `longest` tokens."""
    while True:
        example = make()
        if example and max(len(n.tokens) for n in example.noisy) <= longest:
            return example
