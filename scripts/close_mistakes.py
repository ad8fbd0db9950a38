"""How often are two mistakes close to each other mended? On code that the model never saw.

    python scripts/close_mistakes.py B/real-fixes.jsonl

Two lines, one to three apart, of the fixed files are broken by human-like mistakes, each a syntax error by itself.
Then all is as in the editor: the region around the first fault, its fix, and "fix all syntax errors".
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from random import Random

from lsprotocol import types as lsp

from engine.diffusion.mistakes import break_span
from engine.editing import edit_session, run_session
from engine.evaluation.metrics import rate
from engine.languages import python_fault
from engine.messages import EditRequest, EditResult
from engine.models.loading import load_embedded
from lsp_server.actions import plain_range
from lsp_server.edits import region_of
from lsp_server.fix_all import first_fault, gets_further, mend_all, splice
from lsp_server.text import Document

AROUND = 30  # lines that a mistake may take names from


def broken_pair(text: str, rng: Random) -> str | None:
    """`text` with two mistakes, None when these two lines cannot be broken."""
    lines = text.splitlines(keepends=True)
    first = rng.randrange(len(lines))
    both = list(lines)
    for at in (first, first + rng.choice((1, 1, 2, 3))):
        if at >= len(lines) or not lines[at].strip():
            return None
        around = "".join(lines[max(0, at - AROUND) : at + AROUND])
        both[at] = break_span(lines[at], around, rng, 1, 1.0)
        alone = "".join([*lines[:at], both[at], *lines[at + 1 :]])
        if python_fault(alone) is None or both[at].count("\n") != lines[at].count("\n"):
            return None
    return "".join(both) if python_fault("".join(both)) else None


def broken_files(data: Path, count: int) -> list[tuple[str, str]]:
    """(broken, right) of `count` files, the same at every run."""
    files = [json.loads(line)["after"] for line in data.read_text(encoding="utf-8").splitlines()]
    files = [text for text in files if text.count("\n") > 20 and python_fault(text) is None]
    rng, found = Random(0), list[tuple[str, str]]()
    while len(found) < count:
        right = rng.choice(files)
        broken = broken_pair(right, rng)
        if broken:
            found.append((broken, right))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="JSON lines with the fixed code in `after`")
    parser.add_argument("--cases", type=int, default=120)
    options = parser.parse_args()
    denoiser = load_embedded()

    async def mend(draft: Document, fault: lsp.Diagnostic) -> tuple[int, int, EditResult]:
        start, end = region_of(draft, "fix", {"range": plain_range(fault.range), "message": fault.message})
        request = EditRequest("fix", draft.text[:start], draft.text[start:end], draft.text[end:], deadline_ms=5000)
        return start, end, run_session(edit_session(request, denoiser), denoiser)

    async def both(broken: str, right: str) -> tuple[bool, bool, bool]:
        document = Document("file:///broken.py", broken, 1, "python", "utf-16")
        fault = first_fault(document)
        assert fault
        start, end, result = await mend(document, fault)
        one = bool(result.candidates) and gets_further(document, splice(broken, start, end, result.candidates[0]))
        whole = await mend_all(document, mend)
        text = whole.candidates[0].text if whole.candidates else broken
        return one, python_fault(text) is None, text == right

    outcomes = [asyncio.run(both(*case)) for case in broken_files(options.data, options.cases)]
    names = ("the first fault has a verified fix", "all faults mended", "exactly the right text")
    for name, hits in zip(names, zip(*outcomes, strict=True), strict=True):
        print(f"{name:36s}", rate(hits))


if __name__ == "__main__":
    main()
