"""Texts of a span as candidates: in the user's form, distinct, none that breaks what parsed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.languages import is_checked
from engine.messages import Candidate, EditRequest
from engine.regions import Region
from engine.syntax import document_fault
from engine.work import Scored

RANKING_S = 0.3  # that putting candidates in order may take beyond the deadline


def rank(
    finalists: Sequence[Scored], region: Region, request: EditRequest, limit: int, deadline: float
) -> tuple[Candidate, ...]:
    """At most `limit` distinct candidates in the user's form; those that do not parse only when none does and nothing
    parsed before. `finalists`: texts as the model writes them with their scores, best first. After the `deadline` those
    that there are will do."""
    found: dict[str, Candidate] = {}
    valid: list[Candidate] = []
    checked, give_up = is_checked(request.language), max(deadline, time.monotonic() + RANKING_S)
    parsed_before = checked and parses(request, request.span)
    for text, score in finalists:
        if valid and time.monotonic() > give_up:
            break
        try:
            restored = region.restore(text)
        except ValueError:
            continue
        if restored == request.span or restored in found or "\ufffd" in restored:
            continue
        parsed = parses(request, restored) if checked else None
        if parsed or not parsed_before:
            found[restored] = Candidate(restored, score, parsed)
            valid += [found[restored]] if parsed is not False else []
        if len(valid) == limit:
            break
    return tuple((valid or list(found.values()))[:limit])


def parses(request: EditRequest, text: str) -> bool:
    """Whether the user's document does with `text` in the region."""
    document = (request.prefix + text + request.suffix).removeprefix("\ufeff")
    return document_fault(document, request.language) is None
