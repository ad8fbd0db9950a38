"""`redraft-lsp`: the language server on stdio, or on a local TCP port."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from engine import __version__
from lsp_server.features import create_server


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="redraft-lsp", description="The Redraft language server (stdio unless --tcp)."
    )
    parser.add_argument("--tcp", metavar="HOST:PORT", help="listen there instead of stdio, for debugging")
    parser.add_argument("--stdio", action="store_true", help="the default; accepted because clients pass it")
    parser.add_argument("--log-file", help="write the log there instead of stderr")
    parser.add_argument("--log-level", default="WARNING", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    parser.add_argument("--version", action="version", version=f"redraft-lsp {__version__}")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=options.log_level, filename=options.log_file, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    # pygls logs whole messages, code included, at INFO and in its error tracebacks.
    logging.getLogger("pygls").setLevel(logging.CRITICAL)
    server = create_server()
    if options.tcp:
        host, _, port = options.tcp.rpartition(":")
        if not host or not port.isdigit():
            parser.error("--tcp needs HOST:PORT")
        server.start_tcp(host, int(port))
    else:
        server.start_io()
    return 0


if __name__ == "__main__":
    sys.exit(main())
