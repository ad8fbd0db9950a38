"""`redraft edit`: one in-place edit by the same engine the server uses."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from engine.cli.errors import CommandError
from engine.cli.files import SourceFile, parse_range, read_source, write_source
from engine.cli.trying import first_that_passes, succeeds
from engine.messages import DenoisingState, EditRequest, EditResult
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable

MOST_EDITS = 100  # tried with --test


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("edit", help="edit a range of a file in place")
    parser.add_argument("file", type=Path)
    parser.add_argument("--range", required=True, metavar="L1:L2", help="lines, from 1, both included")
    parser.add_argument("--intent", choices=("fix", "rewrite", "fill"), default="fix")
    parser.add_argument("--instruction", metavar="TEXT", help="what to do, in a few words")
    parser.add_argument("--candidates", type=int, default=4, metavar="N")
    parser.add_argument("--strength", type=float, metavar="0..1", help="how much of the span may change")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deadline-ms", type=int, metavar="MS")
    parser.add_argument("--test", metavar="COMMAND", help="of up to 100 edits, take the first with which this succeeds")
    parser.add_argument("--write", action="store_true", help="change the file; without it only the diff is shown")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--model", help="model folder; default: the embedded model")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    file = read_source(options.file)
    first, last = parse_range(options.range, file)
    lines = file.lines
    span = "".join(lines[first:last])
    request = EditRequest(
        options.intent,
        "".join(lines[:first]),
        span,
        "".join(lines[last:]),
        language=file.language,
        instruction=options.instruction,
        strength=options.strength,
        candidates=options.candidates,
        deadline_ms=options.deadline_ms,
        seed=options.seed,
    )
    console = Console(stderr=options.json)
    if options.test:
        request = replace(request, candidates=MOST_EDITS, guesses=MOST_EDITS)
        if succeeds(options.test):
            raise CommandError(f"{options.test!r} succeeds as it is: there is nothing to mend")
    result = asyncio.run(edit_live(request, options, console))
    texts = [request.prefix + edit.text + request.suffix for edit in result.candidates]
    if options.test:
        texts += [request.prefix + guess.text + request.suffix for guess in result.guesses]
        best = tried(file, texts, options.test, console)
    else:
        best = texts[0] if texts else None
    if best is not None:
        show_diff(file, best, console)
        if options.write:
            write_source(file, best)
    elif options.test:
        console.print(f"with none of {len(texts)} edits does the command succeed; the file is unchanged")
    else:
        console.print("nothing better was found; the file is unchanged")
    found = f"{len(result.candidates)} candidates" + (f", {len(result.guesses)} guesses" if result.guesses else "")
    console.print(f"{result.forward_passes} forward passes, {result.elapsed_ms:.0f} ms, {found}")
    if options.json:
        print(
            json.dumps({"changed": best is not None, "written": options.write and best is not None, **asdict(result)})
        )
    return 0


def tried(file: SourceFile, texts: list[str], command: str, console: Console) -> str | None:
    """The first of `texts` with which `command` succeeds."""
    with console.status("") as status:
        return first_that_passes(file, texts, command, lambda n: status.update(f"edit {n} of {len(texts)}: {command}"))


async def edit_live(request: EditRequest, options: argparse.Namespace, console: Console) -> EditResult:
    """The edit, its denoising drawn on a terminal as it goes. Raises CommandError."""
    try:
        client = await EngineClient.connect(EngineOptions(model=options.model))
    except EngineUnavailable as error:
        raise CommandError(str(error)) from error
    try:
        with Live(console=console, transient=True, auto_refresh=False) as live:

            def draw(state: DenoisingState) -> None:
                live.update(
                    Text.assemble((f"step {state.step} of {state.of}\n", "dim"), canvas_text(state.text)), refresh=True
                )

            return await client.edit(request, on_state=draw if console.is_terminal else None)
    except (EngineFailure, EngineUnavailable) as error:
        raise CommandError(str(error)) from error
    finally:
        await client.close()


def canvas_text(text: str) -> Text:
    """The canvas with its masks in colour."""
    shown = Text(text)
    shown.highlight_regex("\u2591+", "magenta")
    return shown


def show_diff(file: SourceFile, after: str, console: Console) -> None:
    name = str(file.path)
    styles = {"+": "green", "-": "red", "@": "cyan"}
    for line in difflib.unified_diff(file.text.splitlines(), after.splitlines(), name, name, lineterm=""):
        console.print(Text(line, style=styles.get(line[0], "")), soft_wrap=True)
