"""The engine daemon: accepts connections, loads the model, answers edits until idle.

`python -m engine.service.daemon`. The socket is up at once; the model loads meanwhile, and edits
that come early wait for it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from engine import __version__
from engine.messages import EngineStatus
from engine.models.choice import chosen_host
from engine.service.connection import Connection
from engine.service.frames import FrameError
from engine.service.lock import take_lock
from engine.service.memory import forget_libraries, release_memory, resident_mb
from engine.service.paths import EnginePaths, engine_paths, whole_path

FAILED_FOR_S = 5.0  # an engine that could not load its model goes, and the next request tries anew
PACKAGE = Path(__file__).parents[1]
MAX_LOG = 1_000_000  # bytes; a longer log is begun anew at start
logger = logging.getLogger("redraft.engine")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until stopped or idle. 0: done, or another engine serves already; 1: could not start."""
    parser = argparse.ArgumentParser(
        prog="redraft engine serve", description="Serve edits to the editors of this user."
    )
    parser.add_argument("--model", type=whole_path, help="model folder; default: the embedded model")
    parser.add_argument("--device", help="torch device; default: the GPU when there is one")
    parser.add_argument(
        "--threads", type=int, help="CPU threads; default: leaves the editor a core where there are more than two"
    )
    parser.add_argument(
        "--idle-s", type=float, default=900.0, help="stop after so many seconds without a request (default 900)"
    )
    parser.add_argument("--tcp", action="store_true", help="a token-guarded port on 127.0.0.1 instead of a Unix socket")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        paths = engine_paths(options.model, options.device)
    except OSError as error:
        logger.error("no private runtime folder: %s", error)
        return 1
    if paths.log.exists() and paths.log.stat().st_size > MAX_LOG:
        paths.log.write_bytes(b"")
    with paths.lock.open("a+") as lock:
        if not take_lock(lock):
            logger.info("another engine serves this model already")
            return 0
        daemon = Daemon(options.model, options.device, options.threads, options.idle_s)
        try:
            asyncio.run(daemon.serve(paths, tcp=options.tcp or os.name != "posix"))
        except OSError as error:
            logger.error("cannot serve: %s", error)
            return 1
        if daemon.state == "loading":
            os._exit(0)  # a thread that still imports torch would abort at the interpreter's end
    return 0


class Daemon:
    def __init__(self, model: str | None, device: str | None, threads: int | None, idle_s: float) -> None:
        self.model, self.device, self.threads, self.idle_s = model, device, threads, idle_s
        self.trimmed = 0  # edits done when memory was last released
        self.started = self.last_request = time.monotonic()
        self.state: Literal["loading", "ready", "failed"] = "loading"
        self.message = "loading the model"
        self.scheduler: Any = None  # a Scheduler once loaded; its module imports torch
        self.token: str | None = None
        self.connections: set[Connection] = set()
        self.loaded: asyncio.Event
        self.stopping: asyncio.Event

    async def serve(self, paths: EnginePaths, tcp: bool) -> None:
        self.loaded, self.stopping = asyncio.Event(), asyncio.Event()
        self.paths, self.socket_id = paths, 0
        self.server = await (self._listen_tcp(paths) if tcp else self._listen_unix(paths))
        loop = asyncio.get_running_loop()
        with contextlib.suppress(NotImplementedError):
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stopping.set)
        threading.Thread(target=self._compute, args=(loop,), daemon=True).start()
        watching = asyncio.create_task(self._watch())
        watcher = self._watch_model()
        await self.stopping.wait()
        watching.cancel()
        if watcher:
            watcher.stop()
        self.server.close()
        if self.scheduler:
            self.scheduler.stop()
        await asyncio.sleep(0.05)  # lets the last answers out
        if tcp:
            paths.address.unlink(missing_ok=True)
        elif inode(paths.socket) == self.socket_id:  # not the one of an engine that took our place
            paths.socket.unlink(missing_ok=True)

    async def _listen_unix(self, paths: EnginePaths) -> asyncio.AbstractServer:
        paths.socket.unlink(missing_ok=True)  # we hold the lock, so it is stale
        paths.address.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._client, path=str(paths.socket))
        finally:
            os.umask(before)
        self.socket_id = inode(paths.socket)
        return server

    async def _listen_tcp(self, paths: EnginePaths) -> asyncio.AbstractServer:
        self.token = secrets.token_urlsafe(32)
        server = await asyncio.start_server(self._client, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        paths.address.unlink(missing_ok=True)  # one that was there would keep its mode
        descriptor = os.open(paths.address, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"host": host, "port": port, "token": self.token}, file)
        return server

    def _compute(self, loop: asyncio.AbstractEventLoop) -> None:
        """The compute thread: load, then run the scheduler. Without it the engine has no use and stops."""
        gc.disable()  # importing makes a million objects and no garbage: a sixth of the start would be collecting
        self._load()
        gc.freeze()  # what was imported stays: no collection need ever look at it again
        gc.enable()
        loop.call_soon_threadsafe(self.loaded.set)
        loop.call_soon_threadsafe(forget_libraries)
        if self.scheduler:
            try:
                self.scheduler.run()
            finally:
                with contextlib.suppress(RuntimeError):  # the loop may be closing
                    loop.call_soon_threadsafe(self.stopping.set)

    def _load(self) -> None:
        """Sets the scheduler, or says in `message` why there is none."""
        from engine.errors import EditError

        try:
            from engine.models.loading import load_model
            from engine.service.scheduler import Scheduler

            self.scheduler = Scheduler(load_model(Path(self.model) if self.model else None, self.device, self.threads))
            self.state, self.message = "ready", "ready"
        except EditError as error:
            self.state, self.message = "failed", error.message
        except MemoryError:
            self.state, self.message = "failed", "out of memory while loading the model: use a smaller one"
        except Exception as error:  # the edge of the process: whoever waits for the model must hear of it
            why = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            self.state, self.message = "failed", f"the model cannot be loaded ({why}): run `redraft doctor`"
        if self.state == "failed":
            logger.error("%s", self.message)

    def _watch_model(self) -> Any:
        """Reloads a model folder of the user's when its weights are replaced."""
        if not self.model:
            return None
        from engine.service.reload import watch_weights

        return watch_weights(Path(self.model), self._reload)

    def _reload(self) -> None:
        from engine.errors import EditError
        from engine.models.loading import load_model

        if not self.scheduler:
            return
        try:
            fresh = load_model(Path(self.model) if self.model else None, self.device, self.threads)
        except (EditError, MemoryError) as error:
            self.message = f"kept the old weights: {error or 'out of memory'}"
            return

        def exchange(_: Any) -> None:
            self.scheduler.denoiser = fresh

        self.scheduler.errand(exchange)
        self.message = "ready, weights reloaded"

    async def _watch(self) -> None:
        """Stops the engine when it is idle, has no model or was replaced; listens anew when somebody removed the
        socket."""
        version = installed()
        while True:
            idle_s = min(self.idle_s, FAILED_FOR_S) if self.state == "failed" else self.idle_s
            await asyncio.sleep(min(1.0, idle_s / 4))
            if self.scheduler and self.scheduler.edits != self.trimmed:
                self.trimmed = self.scheduler.edits
                release_memory()
            if any(connection.jobs for connection in self.connections):
                self.last_request = time.monotonic()
            elif time.monotonic() - self.last_request > idle_s:
                logger.info("idle for %.0f s, stopping", idle_s)
                self.stopping.set()
            elif installed() != version:
                logger.info("another version was installed, stopping")
                self.stopping.set()
            if self.socket_id and inode(self.paths.socket) != self.socket_id:
                await self._listen_again()

    async def _listen_again(self) -> None:
        """After our socket was removed. Another engine's socket in its place, or no folder: our time is over."""
        self.server.close()
        try:
            if inode(self.paths.socket):
                raise FileExistsError
            self.server = await self._listen_unix(self.paths)
        except OSError:
            logger.info("the socket is gone, stopping")
            self.stopping.set()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(self, reader, writer)
        self.connections.add(connection)
        try:
            await connection.run()
        except (asyncio.IncompleteReadError, asyncio.TimeoutError, OSError):
            pass
        except FrameError as error:
            connection.send("error", id=None, code=error.code, message=str(error))
        finally:
            self.connections.discard(connection)
            connection.close()

    def status(self) -> EngineStatus:
        busy = self.state == "ready" and self.scheduler.queued
        model = self.scheduler and self.scheduler.denoiser
        return EngineStatus(
            engine_version=__version__,
            model=model.name if model else self.model or "embedded",
            parameters=model.parameters if model else 0,
            device=model.device if model else self.device or "auto",
            state="busy" if busy else self.state,
            message=f"{self.scheduler.queued} edits under way" if busy else self.message,
            pid=os.getpid(),
            uptime_s=time.monotonic() - self.started,
            resident_mb=resident_mb(),
            edits=self.scheduler.edits if self.scheduler else 0,
            queued=self.scheduler.queued if self.scheduler else 0,
            remote=model.remote if model else chosen_host(self.model),
            fallback=model.fallback if model else None,
        )


def installed() -> tuple[int, ...]:
    """Changes when another version of the engine, or other embedded weights, are put in the place of these."""
    files = (PACKAGE / "__init__.py", *PACKAGE.glob("weights/*/*"))
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)


def inode(path: Path) -> int:
    """The number of the file at `path`, 0 when there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


if __name__ == "__main__":
    sys.exit(main())
