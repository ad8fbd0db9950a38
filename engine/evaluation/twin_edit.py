"""One edit by the autoregressive twin, from the same request to the same kind of result as `engine.editing`:
the same context, the same parser to judge, the same ranking and restoring of candidates."""

from __future__ import annotations

import time

from engine.editing import check
from engine.errors import EditError
from engine.messages import EditRequest, EditResult
from engine.models.ar_twin import ARTwin
from engine.models.denoiser import Context
from engine.ranking import rank
from engine.regions import normalise

BEAMS = 16
ROOM = 24  # tokens that a span may grow by
LONGEST_FILL = 64  # tokens


def edit_by_twin(request: EditRequest, twin: ARTwin) -> EditResult:
    """The likeliest spans by beam search, those that parse first. `fill` writes the span afresh, the other
    intents see it as it is. `forward_passes` counts tokens: each takes one pass over all beams.

    Raises EditError as `engine.editing.edit_session` does, and "too_large" for what no canvas would hold."""
    started = time.monotonic()
    check(request)
    region = normalise(request.prefix, request.span, request.suffix)
    encode = twin.vocabulary.encode
    before = [] if request.intent == "fill" else encode(region.span)
    if len(before) + ROOM > twin.max_canvas:
        raise EditError("too_large", f"the region has {len(before)} tokens, the twin writes {twin.max_canvas}")
    context = Context(
        tuple(encode(request.instruction or "")[:40]),
        tuple(encode(region.prefix)[-twin.max_prefix :]),
        tuple(encode(region.suffix)[: twin.max_suffix]),
    )
    limit = len(before) + ROOM if before else LONGEST_FILL
    written = twin.beam(context, before, max(BEAMS, request.candidates), limit)
    texts = [(twin.vocabulary.decode(one.tokens), one.score) for one in written]
    candidates = rank(texts, region, request, request.candidates, float("inf"))
    passes = 1 + max(len(one.tokens) for one in written)
    elapsed = 1000 * (time.monotonic() - started)
    return EditResult(candidates, passes, passes, elapsed, "done" if candidates else "unchanged")
