"""Speed: milliseconds per edit and tokens per second over span and context lengths, beside rivals.

Everything is measured in one process, on one machine, in one run, on the same documents. A rival is
a generator that writes the span anew, left to right, between prefix and suffix: the autoregressive
twin above all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from engine.editing import warm_context
from engine.evaluation import bench, metrics
from engine.evaluation.machine import Machine, measure_machine, median_seconds, step_floor_ms, synchronise
from engine.evaluation.metrics import Spread
from engine.evaluation.samples import CodeSample, code_samples
from engine.messages import EditRequest, EditResult
from engine.models.ar_twin import ARTwin
from engine.models.denoiser import CanvasItem, Context, Denoiser, EmbeddedDenoiser
from engine.models.vocabulary import BOS

SPANS = (16, 64, 256, 512)
CONTEXTS = (256, 1024, 4096)
Task = Literal["fix", "rewrite", "complete"]
TASKS: tuple[Task, ...] = ("fix", "rewrite", "complete")


@dataclass(frozen=True, slots=True)
class Generation:
    """What a rival wrote: `tokens` of its own tokens in `seconds`, reading the context included."""

    text: str
    tokens: int
    seconds: float


class Rival(Protocol):
    """A model that writes the span left to right."""

    name: str
    parameters: int

    def generate(self, prefix: str, suffix: str, max_new_tokens: int) -> Generation:
        """Writes what belongs between `prefix` and `suffix`."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """One series. `milliseconds` per edit; `tokens_per_s`: tokens of the finished span over time."""

    name: str
    milliseconds: Spread
    tokens_per_s: Spread
    forward_passes: Spread | None  # None for rivals: one per token


@dataclass(frozen=True, slots=True)
class Cell:
    """One span and context length. `ours`: one series per task, with the context encoded ahead, as the
    server does while a region is selected; `encode_ms` is what that took, so a cold edit takes the sum. Rivals
    likewise start with the context read, and write the whole span.
    `step_ms` is one denoising step of one canvas, `step_floor_ms` the least it could take. `ratios`: a
    rival's median over that of ours, by "rival / task"."""

    span_tokens: int
    context_tokens: int
    mean_span_tokens: float
    mean_context_tokens: float
    ours: list[Timing]
    rivals: list[Timing]
    ratios: dict[str, float]
    encode_ms: Spread
    step_ms: float
    step_floor_ms: float


@dataclass(frozen=True, slots=True)
class SpeedReport:
    benchmark: str
    model: bench.ModelInfo
    machine: Machine
    edits: int  # per series and cell
    cells: list[Cell]


def run_speed(
    options: bench.BenchOptions,
    *,
    spans: Sequence[int] = SPANS,
    contexts: Sequence[int] = CONTEXTS,
    edits: int = 10,
    make_rivals: Callable[[Denoiser], Sequence[Rival]] = lambda _: (),
) -> SpeedReport:
    """Times the grid `spans` x `contexts` (tokens), `edits` documents each. `options.limit` is not used.

    Raises EditError for a model that cannot be loaded, EvaluationError when no document can be made."""
    if edits < 1 or min((*spans, *contexts), default=0) < 1:
        raise bench.EvaluationError("the numbers of edits, span and context tokens must be at least 1")
    denoiser = bench.load_denoiser(options)
    bench.warm_up(denoiser)
    rivals = make_rivals(denoiser)
    machine = measure_machine(denoiser.device)
    grid = [(span, context) for span in spans for context in contexts]
    cells: list[Cell] = []
    for span, context in grid:
        samples = code_samples(edits, span, context, measure(denoiser), options.seed)
        cells.append(time_cell(span, context, samples, denoiser, rivals, machine))
        if options.progress:
            options.progress(len(cells), len(grid))
    bench.write_rows(cells, options.out)
    return SpeedReport("speed", bench.describe_model(denoiser), machine, edits, cells)


def measure(denoiser: Denoiser) -> Callable[[str], int]:
    return lambda text: len(denoiser.vocabulary.encode(text))


def time_cell(
    span: int,
    context: int,
    samples: Sequence[CodeSample],
    denoiser: Denoiser,
    rivals: Sequence[Rival],
    machine: Machine,
) -> Cell:
    """Document by document, every series in turn: what else the machine does then disturbs all alike."""
    count = measure(denoiser)
    for rival in rivals:
        rival.generate(samples[0].prefix, samples[0].suffix, 4)  # does not count
    encoding: list[float] = []
    edits: dict[Task, list[EditResult]] = {task: [] for task in TASKS}
    generations: list[list[Generation]] = [[] for _ in rivals]
    for sample in samples:
        encoding.append(1000 * time_encoding(sample, denoiser))
        for task, results in edits.items():
            warm_context(make_request(task, sample), denoiser)
            if result := bench.edit(make_request(task, sample), denoiser):
                results.append(result)
        for rival, made in zip(rivals, generations, strict=True):
            made.append(write_warm(rival, sample, span))
    tokens = [count(sample.span) for sample in samples]
    ours = [time_ours(task, results, sum(tokens) / len(tokens), denoiser) for task, results in edits.items()]
    theirs = [time_rival(rival, made) for rival, made in zip(rivals, generations, strict=True)]
    canvas = one_canvas(samples[0], denoiser)
    around = [count(sample.prefix) + count(sample.suffix) for sample in samples]
    return Cell(
        span_tokens=span,
        context_tokens=context,
        mean_span_tokens=sum(tokens) / len(tokens),
        mean_context_tokens=sum(around) / len(around),
        ours=ours,
        rivals=theirs,
        ratios=ratios(ours, theirs),
        encode_ms=metrics.spread(encoding),
        step_ms=1000 * time_step(canvas, denoiser),
        step_floor_ms=step_floor(canvas, denoiser, machine),
    )


def make_request(task: Task, sample: CodeSample) -> EditRequest:
    """ "fix" mends a missing bracket or colon, "rewrite" re-noises the span as it is, "complete" is what is offered
    behind the first word of the span's longest line, which somebody types."""
    if task != "complete":
        span = sample.broken if task == "fix" else sample.span
        return EditRequest(task, sample.prefix, span, sample.suffix, candidates=1)
    line = max(sample.span.split("\n"), key=len)
    above, below = sample.span.split(line, 1)
    typed = line[: len(line) - len(line.lstrip())] + line.split()[0]
    return EditRequest("fill", sample.prefix + above + typed, "", below + sample.suffix, candidates=1, quick=True)


def time_encoding(sample: CodeSample, denoiser: Denoiser) -> float:
    """Seconds to encode the context, as `warm_context` does; leaves it in the cache."""
    synchronise(denoiser.device)
    started = time.perf_counter()
    warm_context(make_request("fix", sample), denoiser)
    synchronise(denoiser.device)
    return time.perf_counter() - started


def time_ours(task: Task, results: Sequence[EditResult], span: float, denoiser: Denoiser) -> Timing:
    """`span`: tokens that count as written where an edit found nothing to change."""
    written = [count_tokens(result, denoiser) or span for result in results]
    return Timing(
        task,
        metrics.spread([result.elapsed_ms for result in results]),
        metrics.spread([1000 * n / result.elapsed_ms for n, result in zip(written, results, strict=True)]),
        metrics.spread([result.forward_passes for result in results]),
    )


def count_tokens(result: EditResult, denoiser: Denoiser) -> int:
    return len(denoiser.vocabulary.encode(result.candidates[0].text)) if result.candidates else 0


def time_rival(rival: Rival, made: Sequence[Generation]) -> Timing:
    return Timing(
        rival.name,
        metrics.spread([1000 * generation.seconds for generation in made]),
        metrics.spread([generation.tokens / generation.seconds for generation in made]),
        None,
    )


def ratios(ours: Sequence[Timing], theirs: Sequence[Timing]) -> dict[str, float]:
    return {
        f"{rival.name} / {series.name}": rival.milliseconds.p50 / series.milliseconds.p50
        for rival in theirs
        for series in ours
        if series.name != "complete" and series.milliseconds.p50 and rival.milliseconds.p50  # that writes a line
    }


def write_warm(rival: Rival, sample: CodeSample, span: int) -> Generation:
    """As if the context had been read ahead, as it was for ours: without the time to the first token."""
    first = rival.generate(sample.prefix, sample.suffix, 1)
    whole = rival.generate(sample.prefix, sample.suffix, span + 1)
    return Generation(whole.text, whole.tokens - 1, max(whole.seconds - first.seconds, 1e-9))


def time_step(item: CanvasItem, denoiser: Denoiser) -> float:
    """Median seconds of one denoising step of one canvas, its context cached."""
    denoiser.warm(item.context)
    return median_seconds(lambda: denoiser.denoise([item]), denoiser.device)


def step_floor(item: CanvasItem, denoiser: Denoiser, machine: Machine) -> float:
    """The least milliseconds of that step; attention, two products a layer, is counted of the embedded model."""
    tokens, attention = len(item.canvas), 0
    if isinstance(denoiser, EmbeddedDenoiser):
        sizes = denoiser.model.sizes
        visible = len(item.context.prefix) + tokens + len(item.context.suffix)
        attention = 4 * sizes.num_hidden_layers * sizes.hidden_size * tokens * visible
    return step_floor_ms(machine, denoiser.parameters, tokens, attention)


def one_canvas(sample: CodeSample, denoiser: Denoiser) -> CanvasItem:
    canvas = (BOS, *denoiser.vocabulary.encode(sample.span))[: denoiser.max_canvas]
    return CanvasItem(seen(denoiser, sample.prefix, sample.suffix), canvas)


def seen(model: Denoiser | ARTwin, prefix: str, suffix: str) -> Context:
    """The context, cut to what the model can see."""
    encode = model.vocabulary.encode
    return Context((), tuple(encode(prefix)[-model.max_prefix :]), tuple(encode(suffix)[: model.max_suffix]))
