"""Scale: many clients at once against one engine daemon, through the real client.

Every client is an editor window of its own: its own connection, its own documents, one edit at a
time. Must not import torch: the engine runs in its own process.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from engine.evaluation import metrics
from engine.evaluation.bench import EvaluationError
from engine.evaluation.metrics import Spread
from engine.evaluation.samples import CodeSample, code_samples
from engine.messages import EditRequest, EngineStatus
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable

LEVELS = (1, 4, 16, 64)
Work = Sequence[Sequence[CodeSample]]  # what each client of a level edits, one after the other


@dataclass(frozen=True, slots=True)
class ClientEdit:
    """One edit as its client saw it: wall time and the engine's own account of it."""

    client: int
    milliseconds: float
    engine_ms: float


@dataclass(frozen=True, slots=True)
class Level:
    """`clients` at once. `speedup`: throughput over that of the first level. `overhead_ms`: what a client
    waited beyond the engine's own time, socket and scheduling included. `slowest_client_ms` and
    `fastest_client_ms`: median edit of the worst and best served client; far apart means starvation."""

    clients: int
    edits: int
    failed: int
    edits_per_s: float
    speedup: float | None
    milliseconds: Spread
    overhead_ms: Spread
    slowest_client_ms: float | None
    fastest_client_ms: float | None
    resident_mb: float


@dataclass(frozen=True, slots=True)
class ClientsReport:
    benchmark: str
    model: str
    device: str
    span_tokens: int
    context_tokens: int
    levels: list[Level]


def run_clients(
    options: EngineOptions,
    *,
    levels: Sequence[int] = LEVELS,
    edits: int = 128,
    span_tokens: int = 64,
    context_tokens: int = 512,
    seed: int = 0,
) -> ClientsReport:
    """Measures throughput and latency of `fix`, with documents that do not parse and that no level shares
    with another. Every level does `edits` edits in all, rounded up to the same number for each client.

    Raises EngineUnavailable when no engine can be reached or started, EvaluationError for bad numbers."""
    if min((edits, *levels)) < 1:
        raise EvaluationError("the numbers of clients and edits must be at least 1")
    shares = [math.ceil(edits / clients) for clients in levels]
    needed = sum(clients * share for clients, share in zip(levels, shares, strict=True))
    samples = iter(code_samples(needed, span_tokens, context_tokens, rough_tokens, seed))
    work = [
        [list(islice(samples, share)) for _ in range(clients)] for clients, share in zip(levels, shares, strict=True)
    ]
    status, measured = asyncio.run(measure_levels(options, work))
    return ClientsReport("clients", status.model, status.device, span_tokens, context_tokens, measured)


def rough_tokens(text: str) -> int:
    """Tokens of Python under a tokenizer of a few thousand words: lengths need not be exact here."""
    return len(text) // 3


async def measure_levels(options: EngineOptions, work: Sequence[Work]) -> tuple[EngineStatus, list[Level]]:
    """One level after the other, after one edit that does not count."""
    first = await EngineClient.connect(options)
    try:
        await first.edit(make_request(work[0][0][0]))
        measured = [await measure_level(options, first, level) for level in work]
        base = measured[0].edits_per_s
        return await first.status(), [replace(m, speedup=m.edits_per_s / base if base else None) for m in measured]
    finally:
        await first.close()


async def measure_level(options: EngineOptions, first: EngineClient, work: Work) -> Level:
    clients = len(work)
    connections = [await EngineClient.connect(options) for _ in range(clients)]
    started = time.perf_counter()
    try:
        running = [edit_all(i, *pair) for i, pair in enumerate(zip(connections, work, strict=True))]
        done = [edit for edits in await asyncio.gather(*running) for edit in edits]
    finally:
        seconds = time.perf_counter() - started
        for connection in connections:
            await connection.close()
    finished = [edit for edit in done if edit is not None]
    by_client = [[e.milliseconds for e in finished if e.client == i] for i in range(clients)]
    medians = [spread.p50 for spread in map(metrics.spread, by_client) if spread.p50 is not None]
    return Level(
        clients=clients,
        edits=len(finished),
        failed=len(done) - len(finished),
        edits_per_s=len(finished) / seconds,
        speedup=None,
        milliseconds=metrics.spread([e.milliseconds for e in finished]),
        overhead_ms=metrics.spread([e.milliseconds - e.engine_ms for e in finished]),
        slowest_client_ms=max(medians, default=None),
        fastest_client_ms=min(medians, default=None),
        resident_mb=(await first.status()).resident_mb,
    )


async def edit_all(number: int, client: EngineClient, samples: Sequence[CodeSample]) -> list[ClientEdit | None]:
    """One edit after the other; None for one that failed."""
    done: list[ClientEdit | None] = []
    for i, sample in enumerate(samples):
        started = time.perf_counter()
        try:
            result = await client.edit(make_request(sample), document=f"bench://{number}/{i}")
        except (EngineFailure, EngineUnavailable):
            done.append(None)
            continue
        done.append(ClientEdit(number, 1000 * (time.perf_counter() - started), result.elapsed_ms))
    return done


def make_request(sample: CodeSample) -> EditRequest:
    return EditRequest("fix", sample.prefix, sample.broken, sample.suffix, candidates=1)
