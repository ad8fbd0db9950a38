"""Mends by hand of one block, put before the parser: of one mistake, else of several close to each other.

No mend of one mistake parses while another stands beside it. Then a beam goes from mistake to mistake: what gets the
parser further is mended again where it gives up next. The lines below the block take part, since a mistake in them is
in the verdict's way; what is offered is the block alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from engine.diffusion.mending import Mend, indent_of, mends
from engine.languages import SyntaxFault
from engine.syntax import Judge

PARSED_CHARS = (400_000, 200_000, 200_000)  # parsed at most for each mistake: about 0.2 s, 0.1 s
MENDS = 16  # that are worth the model's judgement
DEARER = 2.0  # nats above the cheapest mend: of 330 found on held-out mistakes, the author's was beyond in two
IN_THE_WAY = 3  # lines below a block
DRASTIC = 5.0  # nats: such mends leave a line out, and several small ones are to be preferred
BEAM = 6  # drafts that are mended further
NEW_MISTAKE = re.compile("unmatched|unterminated")  # right of the old one: hardly a step forward


@dataclass(frozen=True, slots=True)
class Draft:
    """A block and the lines below it, partly mended."""

    block: str
    below: str | None  # None: as they are
    cost: float  # of its mends, in nats
    fault: SyntaxFault  # where the parser gives up now

    @property
    def text(self) -> str:
        return self.block + (self.below or "")

    def mended(self, text: str) -> tuple[str, str | None] | None:
        """Block and lines below out of a mended `text`; None when the mend is in both."""
        if not self.below or text.endswith(self.below):
            return text[: len(text) - len(self.below or "")], self.below
        return (self.block, text[len(self.block) :]) if text.startswith(self.block) else None


def mended_by_hand(
    block: str, fault: SyntaxFault, judge: Judge, context: str, sound: Callable[[str], bool]
) -> dict[str, float]:
    """The cheapest texts of the block that make the document parse, with their costs in nats; when there is none, those
    that do together with a mend of the lines below. `context`: the code above; `sound`: what a text must be besides."""
    first, *later = PARSED_CHARS
    found, drafts = next_mistake([Draft(block, None, 0.0, fault)], judge, context, sound, first)
    drafts = [replace(draft, below=judge.below) for draft in drafts]
    for chars in later:
        if not drafts or min(found.values(), default=DRASTIC) < DRASTIC:
            break
        more, drafts = next_mistake(drafts, judge, context, sound, chars)
        found = {**more, **found}
    return dict(sorted(found.items(), key=lambda item: item[1])[:MENDS])


def next_mistake(
    drafts: Sequence[Draft], judge: Judge, context: str, sound: Callable[[str], bool], chars: int
) -> tuple[dict[str, float], list[Draft]]:
    """Texts of the block with which everything parses, and the drafts that get the parser furthest."""
    found, further = dict[str, float](), dict[str, Draft]()
    affordable = chars // (len(drafts[0].text) + judge.near_chars)  # in characters, so that it is repeatable
    for draft, mend in cheapest(drafts, judge, context)[:affordable]:
        parts, cost = draft.mended(mend.text), draft.cost + mend.cost
        if cost > min(found.values(), default=cost) + DEARER:
            break
        if parts is None or mend.text in further:
            continue
        left = judge.fault(*parts)
        if left is None:
            if sound(parts[0]) and judge.confirm(*parts):
                found.setdefault(parts[0], cost)
                if len(found) == MENDS:
                    break
        elif not found and gets_on(draft, mend.text, left, judge.first_line):
            further[mend.text] = Draft(*parts, cost, left)
    best = sorted(further.items(), key=lambda item: (rest(item[0], item[1].fault, judge.first_line)[0], item[1].cost))
    return found, list(islice((draft for _, draft in best if sound(draft.block)), BEAM))


def cheapest(drafts: Sequence[Draft], judge: Judge, context: str) -> list[tuple[Draft, Mend]]:
    """Every mend of every draft, the cheapest in all first."""
    pairs: list[tuple[Draft, Mend]] = []
    for draft in drafts:
        lines = suspects(draft.text, draft.fault, judge.first_line)
        pairs += [(draft, mend) for mend in mends(draft.text, lines, context, draft.fault.message)]
    return sorted(pairs, key=lambda pair: pair[0].cost + pair[1].cost)


def suspects(text: str, fault: SyntaxFault, first_line: int) -> list[int]:
    """0-based lines of `text` to mend at: where the parser gave up, and where what it says is left open would be
    closed. `first_line`: of `text`, as the fault counts lines."""
    line = fault.line - first_line
    if not fault.leaves_open:
        return [line]
    last = max((i for i, x in enumerate(text.split("\n")) if x.strip()), default=0)
    return [line, last_inside(text.split("\n"), line)] if 0 <= line < last else [last]


def last_inside(lines: Sequence[str], line: int) -> int:
    """The last line after `line` that is indented deeper, up to the first that is not; `line` when none is."""
    last = line
    for i in range(line + 1, len(lines)):
        if lines[i].strip():
            if len(indent_of(lines[i])) <= len(indent_of(lines[line])):
                break
            last = i
    return last


def gets_on(before: Draft, text: str, fault: SyntaxFault, first_line: int) -> bool:
    """Whether `text`, with `fault`, is one mistake better than the draft: the parser comes further, or what was left
    open is closed (then the parser goes back to what it has not told yet)."""
    if not first_line <= fault.line <= first_line + text.count("\n") + IN_THE_WAY:
        return False
    old, new = before.fault, fault
    if old.leaves_open and (not new.leaves_open or (new.line, new.column) < (old.line, old.column)):
        return True
    lines_left, _ = now = rest(text, new, first_line)
    lines_before, _ = then = rest(before.text, old, first_line)
    return lines_left < lines_before or (now < then and not NEW_MISTAKE.match(new.message))


def rest(text: str, fault: SyntaxFault, first_line: int) -> tuple[int, int]:
    """Lines of `text` below the fault, and characters right of it: whatever is mended above leaves them."""
    lines = text.split("\n")
    at = fault.line - first_line
    return len(lines) - at, len(lines[at]) - fault.column if 0 <= at < len(lines) else 0
