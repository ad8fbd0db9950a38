"""Message types of the engine protocol: the one vocabulary the server and the engine share.

Owns the types only; `engine.service.frames` puts them on a socket. Must not import torch,
so that the language server can import it in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PROTOCOL_VERSION = 4

Intent = Literal["fix", "rewrite", "fill"]
ErrorCode = Literal[
    "bad_request",  # a field is missing, of the wrong type or out of range
    "bad_version",  # client and engine speak different protocol versions
    "unauthorized",  # missing or wrong token (TCP only)
    "too_large",  # region, file or frame over its limit
    "cancelled",  # the client cancelled, or a newer request for the same document came
    "model_unavailable",  # weights missing or corrupt
    "out_of_memory",
    "internal",
]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A problem reported inside or near the span. `line` and `column` are 0-based in the document
    (`prefix + span + suffix`), `column` in code points."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class EditRequest:
    """One in-place edit of `span`, which stands between `prefix` and `suffix` in the document.

    The three strings are the document, byte for byte once encoded as UTF-8: line endings, tabs and
    a byte order mark are the engine's business, not the caller's.
    """

    intent: Intent
    prefix: str
    span: str
    suffix: str
    language: str = "python"
    path: str | None = None
    instruction: str | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    strength: float | None = None  # 0..1, share of the span that is re-noised; None: the intent's default
    candidates: int = 4  # how many alternatives are wanted, 1..100
    deadline_ms: int | None = None  # the best valid state is returned then; None: no deadline
    seed: int = 0
    max_steps: int | None = None  # denoising steps; None: the default
    guesses: int = 0  # how many unsure edits are wanted where `fix` finds none it is sure of, 0..100
    quick: bool = False  # of a fill: the likeliest line, soon, rather than the best of several


@dataclass(frozen=True, slots=True)
class Candidate:
    """One proposed text for the span, best first in `EditResult.candidates`."""

    text: str
    score: float  # mean log-likelihood per canvas token under the denoiser, <= 0; higher is better
    parses: bool | None  # of the whole document with this text; None: no parser for the language


@dataclass(frozen=True, slots=True)
class EditResult:
    """`candidates` never holds the span itself nor the same text twice; empty: nothing better was found.
    `guesses`: edits the model is not sure of, for a judge who can tell; never to be applied unasked."""

    candidates: tuple[Candidate, ...]
    steps: int
    forward_passes: int
    elapsed_ms: float
    reason: Literal["done", "deadline", "unchanged"]
    guesses: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class DenoisingState:
    """What the canvas of the leading candidate looks like after `step` of at most `of` steps.

    Masks are shown as U+2591 (light shade)."""

    step: int
    of: int
    text: str


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What `redraft engine status` and the editor's status item show."""

    engine_version: str
    model: str
    parameters: int
    device: str
    state: Literal["loading", "ready", "busy", "failed"]
    message: str  # in words: why it failed, what it is doing
    pid: int
    uptime_s: float
    resident_mb: float
    edits: int
    queued: int
    remote: str | None = None  # the host that the model sends code to; None: code stays with the engine
    fallback: str | None = None  # why the embedded model stands in for the chosen one
