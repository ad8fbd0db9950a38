"""Typing while the engine works: no stale edit is applied, none is lost, none comes twice.

`make stress` runs 1,400 random interleavings of typing, requests, cancels, suggestions and reopening, eight files
at a time against one real server and one real daemon whose passes take their time.
"""

from __future__ import annotations

import asyncio
from itertools import count
from random import Random
from typing import Any

import pytest

from tests.lsp.light import light_server
from tests.lsp.raw_client import RawClient
from tests.lsp.typist import Typist
from tests.scale import cases

INTERLEAVINGS = {"utf-16": cases(1000), "utf-8": cases(200), "utf-32": cases(200)}  # VS Code's encoding, Neovim's
AT_A_TIME = 8
COMMANDS = ("redraft.rewrite", "redraft.rewrite", "redraft.fix", "redraft.fill")


@pytest.mark.stress
@pytest.mark.parametrize("encoding", INTERLEAVINGS)
async def test_typing_while_generating(encoding: str) -> None:
    wanted = INTERLEAVINGS[encoding]
    typists: dict[str, Typist] = {}

    async def apply(params: Any) -> Any:
        (change,) = params["edit"]["documentChanges"]
        typist = typists[change["textDocument"]["uri"]]
        typist.under_way += 1
        await asyncio.sleep(typist.delay_s)
        typist.under_way -= 1
        return typist.apply(params["edit"])

    async def make_bar(_: Any) -> None:
        await asyncio.sleep(bars.random() * 0.03)

    bars = Random(0)
    capabilities = {"window": {"workDoneProgress": True}, "general": {"positionEncodings": [encoding]}}
    async with light_server(capabilities=capabilities) as client:
        client.handlers.update({"workspace/applyEdit": apply, "window/workDoneProgress/create": make_bar})
        seeds = count()

        async def work() -> list[tuple[int, int]]:
            done = []
            while (seed := next(seeds)) < wanted:
                rng = Random(seed)
                manners = "lying" if rng.random() < 0.15 else "strict"
                delay = rng.choice((0, 0.01, 0.03, 0.06))
                typist = Typist(client, f"file:///w/{seed}.py", rng, manners, delay, encoding)
                typists[typist.uri] = typist
                try:
                    done.append(await asyncio.wait_for(interleave(typist), 120))
                except BaseException as error:
                    raise AssertionError(f"interleaving {seed}") from error
            return done

        done = [outcome for some in await asyncio.gather(*(work() for _ in range(AT_A_TIME))) for outcome in some]
        client.check_answers()
        assert len(done) == wanted
        edits, stale = (sum(column) for column in zip(*done, strict=True))
        print(f"{wanted} interleavings, {edits} edits applied, {stale} stale ones refused by the editor")


async def interleave(typist: Typist) -> tuple[int, int]:
    """One random sequence, then a quiet edit that must succeed. How many edits were applied, how many came stale."""
    rng, client = typist.rng, typist.client
    asked: list[tuple[int, str, asyncio.Future[dict[str, Any]]]] = []
    withdrawn: set[int] = set()
    switches: list[asyncio.Future[dict[str, Any]]] = []
    for _ in range(rng.randint(4, 12)):
        match rng.choice(("ask", "ask", "type", "type", "type", "wait", "wait", "cancel", "switch", "reopen")):
            case "ask":
                asked.append(typist.ask(rng.choice(COMMANDS), steps=rng.randint(1, 4), step_s=0.005))
            case "type":
                typist.type()
            case "wait":
                await asyncio.sleep(rng.random() * 0.06)
            case "cancel" if asked:
                cancel(client, typist.uri, rng.choice(asked)[0], rng, withdrawn, switches)
            case "switch":
                name = rng.choice(("redraft.nextSuggestion", "redraft.previousSuggestion"))
                params = {"command": name, "arguments": [{"uri": typist.uri}]}
                switches.append(client.ask("workspace/executeCommand", params)[1])
            case "reopen" if rng.random() < 0.3:
                typist.reopen()
            case _:
                pass
    answers = await asyncio.gather(*(answer for _, _, answer in asked))
    await asyncio.gather(*switches)
    while typist.under_way:  # an edit that was withdrawn too late
        await asyncio.sleep(0.01)
    for (number, tag, _), answer in zip(asked, answers, strict=True):
        if number in withdrawn and "error" in answer:
            assert answer["error"]["code"] == -32800
            assert typist.applied[tag] <= 1 + len(switches)
        else:
            once = bool(answer["result"]["applied"])
            assert (typist.applied[tag] > 0) == once, (tag, answer, typist.applied)
            assert typist.applied[tag] <= once * (1 + len(switches)), (tag, answer, typist.applied)
    assert await typist.mirror() == typist.text
    _, tag, answer = typist.ask("redraft.rewrite")
    assert (await answer)["result"]["applied"], await answer
    assert typist.applied[tag] == 1
    assert await typist.mirror() == typist.text
    typist.close()
    return sum(typist.applied.values()), typist.stale


def cancel(
    client: RawClient,
    uri: str,
    number: int,
    rng: Random,
    withdrawn: set[int],
    commands: list[asyncio.Future[dict[str, Any]]],
) -> None:
    if rng.random() < 0.5:
        withdrawn.add(number)
        client.notify("$/cancelRequest", {"id": number})
    else:
        params = {"command": "redraft.cancel", "arguments": [{"uri": uri}]}
        commands.append(client.ask("workspace/executeCommand", params)[1])
