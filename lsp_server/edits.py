"""Running one edit: engine request, staleness checks, one versioned workspace edit.

Nothing is applied unless the region still holds the text that was sent to the engine. Edits outside
the region only move it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from engine.languages import statement_lines
from engine.messages import Candidate, DenoisingState, Diagnostic, EditRequest, EditResult
from engine.service.client import EngineFailure, EngineUnavailable
from lsp_server.actions import plain_range
from lsp_server.diagnostics import checked_as
from lsp_server.diffs import minimal_edits
from lsp_server.fix_all import mend_all
from lsp_server.jobs import Job
from lsp_server.progress import Progress
from lsp_server.text import LINE_END, Awaited, Document, Tracked

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)

Intent = Literal["fix", "rewrite", "fill"]
MAX_DOCUMENT = 1_000_000  # characters
CONTEXT_LINES = 1  # lines before a fault that a fix may change too: parsers report late
ANSWERED_WITHIN_S = 30.0  # by the editor, when it has nobody to ask
APPLIED_WITHIN_S = 2.0  # seen in the text, after the editor has answered
TITLES = {"fix": "Fix", "rewrite": "Rewrite", "fill": "Fill"}


@dataclass(slots=True)
class Suggestions:
    """The candidates of the last edit of a document, the one in place, and where it stands."""

    region: Tracked
    texts: list[str]  # the original first
    index: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # of those who want another one

    def stand_at(self, document: Document, line: int) -> bool:
        """Whether `line` has some of the one in place, which nobody has edited since."""
        start, end = self.region.start, self.region.end
        first, last = document.position(start).line, document.position(max(start, end - 1)).line
        return first <= line <= last and self.region.intact and document.text[start:end] == self.texts[self.index]


class CannotEdit(Exception):
    """Why nothing was changed: one line for the user."""


def take_region(document: Document, intent: Intent, argument: dict[str, Any]) -> Tracked:
    """What may change, from now on tracked: before anything is awaited, since the next message may move it.

    Raises CannotEdit."""
    return document.track(*((0, len(document.text)) if argument.get("all") else region_of(document, intent, argument)))


async def run_edit(
    server: RedraftServer, document: Document, intent: Intent, argument: dict[str, Any], region: Tracked, job: Job
) -> dict[str, Any]:
    """The whole edit. Returns {applied, reason, ...}; every failure is shown to the user as well."""
    progress, under_way = Progress(server, job), f"{TITLES[intent]} under way"
    first = under_way if server.link.serving else "loading the model"
    server.set_status(busy=True, message=first)
    try:
        sent = job.drawn = document.text[region.start : region.end]

        def show(state: DenoisingState) -> None:
            server.set_status(busy=True, message=under_way)
            progress.report(state)
            if not argument.get("all"):
                server.notify_denoise(document, region, job, state)

        def question(draft: Document, argument: dict[str, Any], span: tuple[int, int]) -> EditRequest | EditResult:
            known = server.fixes.known(draft, span) if intent == "fix" else None
            return known or make_request(server, draft, intent, argument, *span)

        async def answer(asked: EditRequest | EditResult) -> EditResult:
            return asked if isinstance(asked, EditResult) else await server.link.edit(asked, document.uri, show)

        async def mend(draft: Document, fault: lsp.Diagnostic) -> tuple[int, int, EditResult]:
            where = {"range": plain_range(fault.range), "message": fault.message}
            span = region_of(draft, "fix", where)
            return *span, await answer(question(draft, where, span))

        asked = None if argument.get("all") else question(document, argument, (region.start, region.end))
        await progress.begin(f"Redraft: {TITLES[intent]}", first)
        result = await (answer(asked) if asked else mend_all(document, mend))
        candidates = tuple(c for c in result.candidates or result.guesses if c.text != sent)
        if not candidates:
            raise CannotEdit(f"{TITLES[intent]}: no better text was found, nothing was changed")
        proposed = None
        if argument.get("apply") is False:
            proposed = proposal(server, document, region, sent, candidates)
        else:
            if server.confirm_edits(document.uri):
                server.set_status(busy=True, message="waiting for your confirmation")
            job.applying = True  # too late to cancel: the answer must say what became of the edit
            await apply(server, document, region, sent, candidates[0].text, f"Redraft {intent}")
            remember(server, document, region, sent, candidates)
        settle(server, job)
        logger.info("%s: %d candidates in %.0f ms", intent, len(result.candidates), result.elapsed_ms)
        return {
            "applied": proposed is None,
            "proposal": proposed,
            "candidates": len(candidates),
            "steps": result.steps,
            "forwardPasses": result.forward_passes,
            "milliseconds": round(result.elapsed_ms, 1),
        }
    except (CannotEdit, EngineFailure, EngineUnavailable) as error:
        if isinstance(error, EngineUnavailable) or getattr(error, "code", None) == "model_unavailable":
            settle(server, job, kind="Error", message=str(error), command="redraft.restartEngine")
        else:
            settle(server, job)
        return server.refuse(str(error))
    except asyncio.CancelledError:
        settle(server, job, message=f"{intent} {job.why_cancelled}")
        raise
    except Exception:  # a fault of ours must not leave the status busy
        settle(server, job, kind="Error", message="internal error, see the server's log")
        raise
    finally:
        progress.end()


def settle(
    server: RedraftServer, job: Job, message: str = "ready", kind: str = "Normal", command: str | None = None
) -> None:
    """The status after `job`. While others are under way it stays theirs, errors aside."""
    busy = server.jobs.others(job)
    if kind != "Normal" or not busy:
        server.set_status(busy=busy, message=message, kind=kind, command=command)


def region_of(document: Document, intent: Intent, argument: dict[str, Any]) -> tuple[int, int]:
    """Offsets of what may change: whole lines of the selection, or exactly the hole of a fill.

    Raises CannotEdit."""
    try:
        wanted = argument["range"]
        start, end = (lsp.Position(int(p["line"]), int(p["character"])) for p in (wanted["start"], wanted["end"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CannotEdit("the command needs {uri, range: {start, end}}") from error
    if (end.line, end.character) < (start.line, start.character):
        start, end = end, start
    if start.line >= document.line_count:
        raise CannotEdit(f"line {start.line + 1} is outside the document, which has {document.line_count} lines")
    if intent == "fill":
        return document.offset(start), document.offset(end)
    first, last = start.line, end.line
    if end.character == 0 and end.line > start.line:
        last -= 1  # a selection that ends at a line's start does not mean that line
    if intent == "fix" and "message" in argument:
        first, last = statement_lines(document.text, line_above(document, first), last, document.language)
    return document.line_bounds(first)[0], document.line_bounds(last)[1]


def line_above(document: Document, line: int) -> int:
    """The nearest line above that is not blank."""
    above = line - CONTEXT_LINES
    while above > 0 and not document.text[slice(*document.line_bounds(above))].strip():
        above -= 1
    return max(0, above)


def make_request(
    server: RedraftServer, document: Document, intent: Intent, argument: dict[str, Any], start: int, end: int
) -> EditRequest:
    """Raises CannotEdit when the document is too large or not encodable."""
    if len(document.text) > MAX_DOCUMENT:
        raise CannotEdit(f"the file has {len(document.text):,} characters, Redraft edits up to {MAX_DOCUMENT:,}")
    try:
        document.text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CannotEdit("the file holds broken characters (lone surrogates): remove them first") from error
    settings, above = server.settings_of(document.uri), server.notebooks.above(document)
    instruction, message = argument.get("instruction"), argument.get("message")
    diagnostics: tuple[Diagnostic, ...] = ()
    if isinstance(message, str):
        line, character = (int(argument["range"]["start"][name]) for name in ("line", "character"))
        column = document.offset(lsp.Position(line, character)) - document.line_bounds(line)[0]  # in code points
        diagnostics = (Diagnostic(line + len(LINE_END.findall(above)), column, message[:500]),)
    return EditRequest(
        intent,
        above + document.text[:start],
        document.text[start:end],
        document.text[end:],
        language=checked_as(document),
        instruction=instruction if isinstance(instruction, str) and instruction.strip() else None,
        diagnostics=diagnostics,
        strength=settings.strength,
        candidates=settings.candidates,
        deadline_ms=settings.deadline_ms,
        guesses=settings.candidates if argument.get("guess") is True else 0,
    )


def check_unchanged(server: RedraftServer, document: Document, region: Tracked, expected: str) -> None:
    """Raises CannotEdit unless the region still holds `expected`."""
    if server.documents.get(document.uri) is not document:
        raise CannotEdit("the file was closed meanwhile, nothing was changed")
    torn = document.splits_line_end(region.start) or document.splits_line_end(region.end)
    if torn or not region.intact or document.text[region.start : region.end] != expected:
        raise CannotEdit("the code changed while Redraft was working on it, nothing was changed: run it again")


def proposal(
    server: RedraftServer, document: Document, region: Tracked, original: str, candidates: tuple[Candidate, ...]
) -> dict[str, Any]:
    """The candidates for a client that asked with {apply: false} because it reviews and applies them itself.

    `range` holds in document `version`. Raises CannotEdit when the region changed meanwhile."""
    check_unchanged(server, document, region, original)
    return {
        "version": document.version,
        "range": plain_range(document.range(region.start, region.end)),
        "original": original,
        "candidates": [{"text": c.text, "score": c.score, "parses": c.parses} for c in candidates],
    }


async def warm(server: RedraftServer, document: Document, intent: Intent, argument: dict[str, Any]) -> dict[str, Any]:
    """Has the engine encode the context of a likely edit, while the user still types the instruction."""
    try:
        await server.link.warm(make_request(server, document, intent, argument, *region_of(document, intent, argument)))
    except (CannotEdit, EngineFailure, EngineUnavailable) as error:
        return {"warmed": False, "reason": str(error)}  # the edit itself will tell the user
    return {"warmed": True}


async def apply(
    server: RedraftServer, document: Document, region: Tracked, expected: str, new: str, label: str
) -> None:
    """Replaces the region's text by one versioned workspace edit. Raises CannotEdit when the region
    changed meanwhile or the client did not apply it."""
    check_unchanged(server, document, region, expected)
    confirm = server.confirm_edits(document.uri)
    changes: list[lsp.TextEdit | lsp.AnnotatedTextEdit | lsp.SnippetTextEdit] = []
    for splice in minimal_edits(expected, new):
        where = document.range(region.start + splice.start, region.start + splice.end)
        changes.append(
            lsp.AnnotatedTextEdit("redraft", where, splice.text) if confirm else lsp.TextEdit(where, splice.text)
        )
    identifier = lsp.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
    edit = lsp.WorkspaceEdit(
        document_changes=[lsp.TextDocumentEdit(identifier, changes)],
        change_annotations={"redraft": lsp.ChangeAnnotation(label, needs_confirmation=True)} if confirm else None,
    )
    before = document.text
    wanted = before[: region.start] + new + before[region.end :]
    await seen_applied(server, document, region, wanted, len(new), lsp.ApplyWorkspaceEditParams(edit, label))


async def seen_applied(
    server: RedraftServer,
    document: Document,
    region: Tracked,
    wanted: str,
    length: int,
    params: lsp.ApplyWorkspaceEditParams,
) -> None:
    """Sends an edit and waits until the document has passed through the text it makes: Neovim answers
    "applied" for stale edits it skipped, so only the change itself is proof. The region, of `length` then,
    follows. Raises CannotEdit."""
    start, seen, asks = region.start, asyncio.get_running_loop().create_future(), server.confirm_edits(document.uri)

    def arrived() -> None:
        region.start, region.end, region.intact = start, start + length, True
        if not seen.done():
            seen.set_result(None)

    awaited = Awaited(wanted, arrived)
    document.awaited.append(awaited)
    try:
        answering = asyncio.ensure_future(server.workspace_apply_edit_async(params))
        answering.add_done_callback(lambda answer: answer.cancelled() or answer.exception())  # it may come too late
        await asyncio.wait(
            (answering, seen), return_when=asyncio.FIRST_COMPLETED, timeout=None if asks else ANSWERED_WITHIN_S
        )
        if seen.done():
            return  # whatever the editor says of it
        if not answering.done():
            raise CannotEdit("the editor did not answer when asked to make the edit")
        if not answering.result().applied:
            why = f": {answering.result().failure_reason}" if answering.result().failure_reason else ""
            raise CannotEdit(f"the editor did not apply the edit{why}")
        await asyncio.wait_for(seen, APPLIED_WITHIN_S)
    except asyncio.TimeoutError as error:
        why = "made the edit in part or not at all" if asks else "skipped the edit because the file moved on"
        raise CannotEdit(f"the editor {why}: run it again") from error
    except JsonRpcException as error:
        raise CannotEdit("the editor did not apply the edit") from error
    finally:
        document.awaited.remove(awaited)


def remember(
    server: RedraftServer, document: Document, region: Tracked, original: str, candidates: tuple[Candidate, ...]
) -> None:
    previous = server.suggestions.pop(document.uri, None)
    if previous:
        document.release(previous.region)
    server.suggestions[document.uri] = Suggestions(region, [original, *(c.text for c in candidates)], 1)


async def switch(server: RedraftServer, document: Document, by: int) -> dict[str, Any]:
    """Puts the next (or previous) candidate of the last edit in place; the original is one of them."""
    kept = server.suggestions.get(document.uri)
    if not kept:
        return server.refuse("there are no other suggestions: run Redraft first")
    async with kept.turn:
        index = (kept.index + by) % len(kept.texts)
        try:
            await apply(server, document, kept.region, kept.texts[kept.index], kept.texts[index], "Redraft suggestion")
        except CannotEdit as error:
            return server.refuse(str(error))
        kept.index = index
    return {"applied": True, "suggestion": index, "of": len(kept.texts) - 1}
