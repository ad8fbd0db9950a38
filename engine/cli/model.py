"""`redraft model list|use|test`: which model edits, and whether it can."""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.cli.errors import CommandError


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser("model", help="choose and test the model")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    one = verbs.add_parser("list", help="say which model is in use and what may be used")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=run_list)
    one = verbs.add_parser("use", help="choose the model for this user")
    add_choice(one)
    one.add_argument("--no-fallback", action="store_true", help="fail when it cannot be loaded")
    one.set_defaults(run=run_use)
    one = verbs.add_parser("test", help="make a real edit and say what is wrong; default: the model in use")
    add_choice(one)
    one.set_defaults(run=run_test)


def add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", nargs="?", help="model folder, or `embedded`")
    parser.add_argument("--url", help="a server instead; your code is sent there")
    parser.add_argument("--protocol", choices=("openai", "mercury"), default="openai")
    parser.add_argument("--name", help="the name by which the server knows the model")
    parser.add_argument("--key-env", metavar="VARIABLE", help="environment variable that holds the server's key")
    parser.add_argument("--timeout", type=seconds, default=30.0, metavar="S")
    parser.add_argument("--quantise", choices=("8bit", "4bit"), help="needs bitsandbytes")
    parser.add_argument("--sampler", choices=("entropy-bound",), help="DiffusionGemma: take steps as its own sampler")
    parser.add_argument(
        "--allow-code", action="store_true", help="run the Python code that the folder brings, as it is now"
    )
    parser.add_argument("--json", action="store_true")


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def chosen(options: argparse.Namespace) -> Any:
    """The `ModelChoice` that the options name, None when they name none. Raises CommandError."""
    from engine.models.choice import ModelChoice, code_digest

    if options.folder and options.url:
        raise CommandError("name a folder or --url, not both")
    if not options.url and (options.name or options.key_env):
        raise CommandError("--name and --key-env are for a server: name it by --url")
    if (options.url or options.folder == "embedded") and (options.quantise or options.sampler or options.allow_code):
        raise CommandError("--quantise, --sampler and --allow-code are for a model folder: name one")
    if options.url:
        return ModelChoice(
            url=options.url,
            protocol=options.protocol,
            model=options.name,
            key_env=options.key_env,
            timeout_s=options.timeout,
        )
    if options.folder == "embedded":
        return ModelChoice()
    if options.folder:
        folder = Path(options.folder).expanduser().resolve()
        try:
            allowed = code_digest(folder) if options.allow_code else None
        except OSError as error:
            raise CommandError(f"{error.filename} cannot be read: {error.strerror}") from error
        return ModelChoice(path=str(folder), quantise=options.quantise, sampler=options.sampler, allowed_code=allowed)
    return None


def run_list(options: argparse.Namespace) -> int:
    from engine.errors import EditError
    from engine.models.choice import choice_file, read_choice, remote_host

    try:
        choice = read_choice()
    except EditError as error:
        raise CommandError(error.message) from error
    if options.json:
        print(json.dumps({"file": str(choice_file()), **asdict(choice)}))
        return 0
    host = remote_host(choice.url)
    print(f"in use: {choice.path or choice.url or 'embedded'}{f' (REMOTE: code is sent to {host})' if host else ''}")
    print("embedded      the model that comes with redraft")
    print("FOLDER        a span denoiser, or a masked LM saved by save_pretrained")
    print("                or DiffusionGemma; --allow-code: LLaDA, Dream, DreamOn and others that bring their own code")
    print("--url URL     an OpenAI-compatible server (SGLang, vLLM, llama.cpp), or Mercury; your code is sent there")
    return 0


def run_use(options: argparse.Namespace) -> int:
    from dataclasses import replace

    from engine.errors import EditError
    from engine.models.choice import choice_file, remote_host, write_choice
    from engine.models.http import HttpModel
    from engine.models.loading import check_folder

    choice = chosen(options)
    if choice is None:
        raise CommandError("name a model folder, `embedded`, or --url")
    choice = replace(choice, fallback=not options.no_fallback)
    try:
        if choice.url:
            HttpModel.connect(choice)
        elif choice.path:
            check_folder(choice)
        file = write_choice(choice)
    except EditError as error:
        raise CommandError(error.message) from error
    except OSError as error:
        raise CommandError(f"{choice_file()} cannot be written: {error.strerror}") from error
    if options.json:
        print(json.dumps({"file": str(file), **asdict(choice)}))
        return 0
    if host := remote_host(choice.url):
        print(f"REMOTE: from now on code is sent to {host}; `redraft model use embedded` ends that")
    print(f"written to {file}; `redraft model test` tries it, `redraft engine stop` makes a running engine take it up")
    return 0


def run_test(options: argparse.Namespace) -> int:
    from engine.editing import run_session
    from engine.errors import EditError
    from engine.messages import EditRequest
    from engine.models.choice import read_choice
    from engine.models.http import HttpModel
    from engine.models.loading import load_choice
    from engine.models.probe import LEAST, advantage
    from engine.rewriting import open_session

    request = EditRequest(
        "fix", "def area(width, height):\n", "    return (width * height\n", "\n\nprint(area(2, 3))\n"
    )
    try:
        model = load_choice(chosen(options) or read_choice())
        result = run_session(open_session(request, model), model)
        ahead = None if isinstance(model, HttpModel) else advantage(model)
    except EditError as error:
        raise CommandError(error.message) from error
    best = result.candidates[0] if result.candidates else None
    mended = best is not None and best.parses is True
    if options.json:
        told = {"model": model.name, "device": model.device, "mended": mended, "advantage": ahead}
        print(json.dumps({**told, **asdict(result)}))
    else:
        print(f"{model.name} on {model.device}: {result.elapsed_ms:.0f} ms, {len(result.candidates)} candidates")
        print(best.text.rstrip("\n") if best else "(no edit)")
    if ahead is not None and ahead < LEAST:
        raise CommandError(
            f"it guesses hidden code no better than by chance ({ahead:+.1f} nats a token): its weights or its mask "
            "token are not those it was trained with, download it anew or choose another model"
        )
    if not mended:
        raise CommandError("it did not mend a missing bracket: the model runs, but is too weak or not made for code")
    return 0
