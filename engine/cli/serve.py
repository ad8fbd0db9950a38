"""`redraft engine serve|status|stop`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from importlib.util import find_spec
from typing import Any, TypeVar

from engine.cli.errors import CommandError
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable, NoEngine
from engine.service.lock import kill_holder
from engine.service.paths import engine_paths

T = TypeVar("T")


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("engine", help="the engine daemon")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    # No prefix character: all options are the daemon's, also the first one.
    serve = verbs.add_parser(
        "serve", help="run the daemon here, or with --ray a cluster", add_help=False, prefix_chars="\0"
    )
    serve.add_argument("rest", nargs=argparse.REMAINDER)
    serve.set_defaults(run=run_serve)
    for verb, run, text in (("status", run_status, "say how the engine is"), ("stop", run_stop, "stop the engine")):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("--model", help="the engine of this model folder; default: the embedded model")
        one.add_argument("--device", help="of the torch device that it was started for; default: as editors start it")
        one.add_argument("--json", action="store_true")
        if verb == "stop":
            one.add_argument("--force", action="store_true", help="kill it when it does not answer")
        one.set_defaults(run=run)


def run_serve(options: argparse.Namespace) -> int:
    module, rest = "engine.service.daemon", list(options.rest)
    if "--ray" in rest:
        if find_spec("ray") is None:
            raise CommandError("a cluster needs Ray: pip install 'redraft[cluster]'")
        module = "engine.service.cluster"
        rest.remove("--ray")
    os.execv(sys.executable, [sys.executable, "-m", module, *rest])  # noqa: S606


def run_status(options: argparse.Namespace) -> int:
    async def ask(client: EngineClient) -> dict[str, Any]:
        return asdict(await client.status())

    status = asyncio.run(asked(options, ask))
    if options.json:
        print(json.dumps({"running": status is not None, **(status or {})}))
    elif status is None:
        print("no engine is running; it starts with the first edit")
    else:
        print(status["state"] + (f": {status['message']}" if status["message"] != status["state"] else ""))
        print(f"model {status['model']} ({status['parameters'] / 1e6:.1f}M parameters) on {status['device']}")
        print(f"pid {status['pid']}, {status['resident_mb']:.0f} MB, {status['edits']} edits done")
    return 0


def run_stop(options: argparse.Namespace) -> int:
    async def ask(client: EngineClient) -> bool:
        await client.stop()
        return True

    try:
        stopped = bool(asyncio.run(asked(options, ask)))
    except CommandError:
        if not options.force:
            raise
        stopped = False
    if not stopped and options.force:
        try:
            stopped = kill_holder(engine_paths(engine(options).model, options.device).lock)
        except OSError as error:
            raise CommandError(f"no private runtime folder: {error}") from error
    if options.json:
        print(json.dumps({"stopped": stopped}))
    else:
        print("engine stopped" if stopped else "no engine was running")
    return 0


def engine(options: argparse.Namespace) -> EngineOptions:
    return EngineOptions(model=options.model, device=options.device, start=False)


async def asked(options: argparse.Namespace, ask: Callable[[EngineClient], Awaitable[T]]) -> T | None:
    """What a running engine says; None when there is none. Raises CommandError when it does not answer."""
    try:
        client = await EngineClient.connect(engine(options))
    except NoEngine:
        return None
    except EngineUnavailable as error:
        raise CommandError(str(error)) from error
    try:
        return await ask(client)
    except (EngineUnavailable, EngineFailure) as error:
        raise CommandError(str(error)) from error
    finally:
        await client.close()
