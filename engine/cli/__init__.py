"""The `redraft` command. Exit status: 0 done, 1 could not do it (reason on stderr), 2 bad usage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from engine import __version__
from engine.cli import bench, doctor, edit, model, serve, train
from engine.cli.errors import CommandError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="redraft", description="Edit code in place, by diffusion.")
    parser.add_argument("--version", action="version", version=f"redraft {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (edit, serve, model, bench, train, doctor):
        module.add_parser(commands)
    lsp = commands.add_parser("lsp", help="run the language server on stdio", add_help=False)
    lsp.set_defaults(run=None)
    options, rest = parser.parse_known_args(arguments)
    if options.command == "lsp":
        # The server is another package that the engine must not import.
        os.execv(sys.executable, [sys.executable, "-m", "lsp_server", *rest])  # noqa: S606
    if rest:
        parser.error(f"unrecognised arguments: {' '.join(rest)}")
    try:
        return options.run(options)
    except CommandError as error:
        print(f"redraft: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("redraft: cancelled, nothing was changed", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
