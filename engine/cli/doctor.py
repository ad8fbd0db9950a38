"""`redraft doctor`: versions, model, device, engine, what is wrong and how to mend it."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "transformers", "tokenizers", "pygls", "lsprotocol", "msgpack", "watchdog")


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("doctor", help="say what is wrong and how to mend it")
    parser.add_argument("--model", help="model folder; default: the embedded model")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    facts, problems = examine(options.model)
    if options.json:
        print(json.dumps({"ok": not problems, "problems": problems, **facts}))
    else:
        for name, value in facts.items():
            print(f"{name:14} {value}")
        for problem in problems:
            print(f"wrong: {problem}")
        print("all is well" if not problems else f"{len(problems)} to mend")
    return 1 if problems else 0


def examine(model: str | None) -> tuple[dict[str, Any], list[str]]:
    """Facts by name, and one line per problem with its remedy."""
    problems: list[str] = []
    facts: dict[str, Any] = {
        "redraft": version("redraft"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
    for package in PACKAGES:
        facts[package] = version(package)
        if facts[package] is None:
            problems.append(f"{package} is not installed: pip install redraft")
    facts.update(examine_model(model, problems))
    facts.update(examine_runtime(problems))
    return facts, problems


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def examine_model(model: str | None, problems: list[str]) -> dict[str, Any]:
    from engine.errors import EditError
    from engine.models.denoiser import EmbeddedDenoiser
    from engine.models.loading import EMBEDDED, WRITER, load_model

    try:
        denoiser = load_model(Path(model) if model else None)
    except EditError as error:
        problems.append(error.message)
        return {"model": None}
    facts: dict[str, Any] = {
        "model": denoiser.name,
        "parameters": denoiser.parameters,
        "device": denoiser.device,
    }
    if isinstance(denoiser, EmbeddedDenoiser) and denoiser.name == EMBEDDED.name:
        writer = denoiser.writer
        facts["writer"] = f"{writer.name}, {writer.parameters} parameters" if writer else None
        if writer is None:
            problems.append(f"the writer in {WRITER} cannot be loaded: reinstall redraft")
    return facts


def examine_runtime(problems: list[str]) -> dict[str, Any]:
    from engine.service.paths import runtime_dir

    try:
        folder = runtime_dir()
        writable = os.access(folder, os.W_OK)
    except OSError as error:
        problems.append(f"no private runtime folder ({error}): set REDRAFT_RUNTIME_DIR to a folder of your own")
        return {"runtime": None}
    if not writable:
        problems.append(f"{folder} cannot be written: set REDRAFT_RUNTIME_DIR to a folder of your own")
    return {"runtime": str(folder), "engines": len(list(folder.glob("*.sock")))}
