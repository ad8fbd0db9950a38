"""What the writer is told. It was trained on edits in the form of a conversation (`engine.training.asked`): the user's
turn asks, its own holds the code."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace

from engine.errors import EditError
from engine.messages import EditRequest
from engine.models.denoiser import Context, Denoiser
from engine.models.writer import Writer
from engine.regions import Region, hidden_text, visible_span

FENCE = "```"
EDITOR = "You edit {0} code as the user says, and change nothing else."
ASKED = "Edit this {0} code: {1}.\n"
LONGEST = 240  # tokens of code; in longer code the writer loses the thread
ASKED_CHARS = 400  # of an instruction


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be done to which code, by whom. `code`: whole lines, without the `indent` that they share and without
    the line ends `behind` them."""

    writer: Writer
    language: str
    instruction: str
    code: str
    indent: str
    behind: str

    def fenced(self, code: str) -> str:
        return f"{FENCE}{self.language}\n{code}{FENCE}"

    def begun(self, who: str, said: str) -> list[int]:
        """A turn of the conversation that is still open."""
        return [self.writer.turn_ends[0], *self.writer.vocabulary.encode(f"{who}\n{said}")]

    def closed(self) -> list[int]:
        return [self.writer.turn_ends[1], *self.writer.vocabulary.encode("\n")]

    def asked(self, around: str = "") -> Context:
        """What the writer answers to. `around`: what it is told of the lines around, which helps in training alone."""
        system = [*self.begun("system", EDITOR.format(self.language)), *self.closed()]
        request = around + ASKED.format(self.language, self.instruction) + self.fenced(self.code)
        user = [*self.begun("user", request), *self.closed()]
        return Context((), (*system, *user, *self.begun("assistant", f"{FENCE}{self.language}\n")), (), ordered=True)

    def text(self, answer: str, region: Region) -> str:
        """`answer` in the place of the code, as a denoiser would have written it."""
        return hidden_text(textwrap.indent(answer, self.indent) + self.behind, region)

    def answer(self, text: str, region: Region) -> str | None:
        """What the writer would have answered for `text`, as a denoiser writes it, to be in the place of the code; None
        when it cannot have."""
        answer = textwrap.dedent(visible_span(replace(region, span=text))).removesuffix(self.behind) + "\n"
        return answer if self.text(answer.rstrip("\n"), region) == text else None


def told_by(request: EditRequest, region: Region, writer: Denoiser | None, instruction: str) -> Told | None:
    """None when there is no writer that has learned to follow, or the code is too long for it or would seem to end
    before its end. Raises EditError("too_large") for an instruction that the writer would not understand to its end."""
    if not isinstance(writer, Writer):
        return None
    instruction = " ".join(instruction.split()).rstrip(".")
    if len(instruction) > ASKED_CHARS:
        raise EditError(
            "too_large",
            f"the embedded model follows instructions of up to {ASKED_CHARS} characters, this one has"
            f" {len(instruction):,}: say it shorter, or choose a larger model (redraft model use)",
        )
    span = visible_span(region)
    indent, code = indent_removed(span)
    code = code.rstrip("\n") + "\n"
    if FENCE in code or len(writer.vocabulary.encode(code)) > LONGEST:
        return None
    return Told(writer, request.language, instruction, code, indent, span[len(span.rstrip("\n")) :])


def indent_removed(text: str) -> tuple[str, str]:
    """The indentation that all lines of `text` share, and the lines without it."""
    code = textwrap.dedent(text)
    indented, plain = first_line(text), first_line(code)
    return indented[: len(indented) - len(plain)], code


def first_line(text: str) -> str:
    """The first that is not blank; "" when all are."""
    return next((line for line in text.split("\n") if line.strip()), "")
