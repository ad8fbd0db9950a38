"""The engine as a Ray Serve deployment: `redraft engine serve --ray`.

Gates hold the clients' websockets and speak the protocol of the Unix socket; replicas hold a model and a
Scheduler each, which batches what Ray sends there. An edit whose replica dies is asked again elsewhere;
nothing else is tried twice. Ray starts, watches, scales and replaces both.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.config import AutoscalingConfig, HTTPOptions
from ray.util.metrics import Counter, Histogram
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from engine import __version__
from engine.messages import PROTOCOL_VERSION, EditRequest, EngineStatus
from engine.service import frames
from engine.service.connection import PULSE_S, check_hello
from engine.service.frames import FrameError
from engine.service.memory import resident_mb

TRIES = 4  # of an edit whose replica dies
CONNECTIONS = 2000  # per gate
MAX_GATES = 128
PER_REPLICA = 64  # edits that a replica takes at once, most of them queued
TARGET = 6  # edits per replica that autoscaling aims at: as many as a Scheduler has under way
ENGINE, GATE = "redraft-engine", "redraft-gate"  # two applications, so that a change of model cuts no connection


class Engine:
    """One replica: a model and the thread that computes with it."""

    def __init__(self, model: str | None, device: str | None, threads: int | None) -> None:
        from engine.models.loading import load_model
        from engine.service.scheduler import Scheduler

        self.scheduler = Scheduler(load_model(Path(model) if model else None, device, threads))
        self.started = time.monotonic()
        self.thread = threading.Thread(target=self.scheduler.run, daemon=True)
        self.thread.start()
        self.edits = Counter("redraft_edits", "Edits answered", ("outcome",))
        self.latency = Histogram("redraft_edit_ms", "Milliseconds per edit", [50, 100, 200, 300, 500, 1000, 3000])

    def check_health(self) -> None:
        """Ray replaces a replica for which this raises."""
        if not self.thread.is_alive():
            raise RuntimeError("the compute thread ended")

    async def edit(self, request: EditRequest, stream: bool) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Frames without their ids: "state" as often as wanted, then one "result" or "error"."""
        from engine.rewriting import open_session
        from engine.service.scheduler import Job

        loop, started = asyncio.get_running_loop(), time.monotonic()
        answers: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

        def put(kind: str, **fields: Any) -> None:
            loop.call_soon_threadsafe(answers.put_nowait, (kind, fields))

        job = Job(
            start=functools.partial(open_session, request),
            document=None,
            on_state=lambda state: put("state", state=state) if stream else None,
            on_result=lambda result: put("result", result=result),
            on_error=lambda error: put("error", code=error.code, message=error.message),
        )
        self.scheduler.submit(job)
        try:
            while True:
                kind, fields = await answers.get()
                if kind != "state":
                    self.edits.inc(tags={"outcome": kind})
                    self.latency.observe(1000 * (time.monotonic() - started))
                yield kind, fields
                if kind != "state":
                    return
        finally:
            self.scheduler.cancel(job)  # of no effect on one that is done

    async def status(self) -> EngineStatus:
        model, queued = self.scheduler.denoiser, self.scheduler.queued
        return EngineStatus(
            engine_version=__version__,
            model=model.name,
            parameters=model.parameters,
            device=model.device,
            state="busy" if queued else "ready",
            message=f"a replica of a cluster, {queued} edits under way",
            pid=os.getpid(),
            uptime_s=time.monotonic() - self.started,
            resident_mb=resident_mb(),
            edits=self.scheduler.edits,
            queued=queued,
            remote=model.remote,
            fallback=model.fallback,
        )


async def connect(socket: WebSocket) -> None:
    """One client, from greeting to goodbye."""
    gate: Any = serve.get_replica_context().servable_object
    await socket.accept()
    with contextlib.suppress(WebSocketDisconnect, asyncio.TimeoutError, RuntimeError):  # the last: while we wrote
        await Visit(gate.engine, socket).run(gate.token)


@serve.ingress(Starlette(routes=[WebSocketRoute("/", connect)]))  # pyright: ignore[reportUntypedClassDecorator]
class Gate:
    """Holds websockets; `token` is what a client's greeting must carry."""

    def __init__(self, token: str) -> None:
        self.engine, self.token = serve.get_app_handle(ENGINE), token


class Visit:
    """One client's connection to a gate. Every request is answered exactly once."""

    def __init__(self, engine: Any, socket: WebSocket) -> None:
        self.engine, self.socket = engine, socket
        self.jobs: dict[int, asyncio.Task[None]] = {}
        self.documents: dict[str, int] = {}  # the newest edit of each

    async def run(self, token: str) -> None:
        pulse = asyncio.create_task(self._pulse())
        try:
            check_hello(await asyncio.wait_for(self._read(), 10), token)
            await self._send("welcome", version=PROTOCOL_VERSION, status=await self._status())
            while True:
                frame = await self._read()
                try:
                    await self._handle(frame)
                except FrameError as error:
                    number = frame.get("id")
                    asked = number if type(number) is int else None
                    await self._send("error", id=asked, code=error.code, message=str(error))
        except FrameError as error:
            await self._send("error", id=None, code=error.code, message=str(error))
            await self.socket.close()
        finally:
            for task in (pulse, *self.jobs.values()):
                task.cancel()

    async def _read(self) -> dict[str, Any]:
        message = await self.socket.receive_bytes()
        if len(message) > frames.MAX_FRAME + frames.HEADER.size:
            raise FrameError("too_large", f"a frame of {len(message):,} bytes, the limit is {frames.MAX_FRAME:,}")
        return frames.unpack(message[frames.HEADER.size :])

    async def _handle(self, frame: dict[str, Any]) -> None:
        number, kind = frames.field(frame, "id", int), frame["type"]
        if kind == "edit":
            if number in self.jobs:
                raise FrameError("bad_request", f"id {number} is in use")
            request, document = frames.field(frame, "request", EditRequest), frame.get("document")
            if isinstance(document, str):
                self._cancel(self.documents.get(document, -1))  # newest wins
                self.documents[document] = number
            self.jobs[number] = asyncio.create_task(self._edit(number, request, frame.get("stream") is True))
        elif kind == "cancel":
            self._cancel(number)
        elif kind == "warm":  # in vain: nobody knows which replica the edit will go to
            await self._send("done", id=number)
        elif kind == "status":
            await self._send("status", id=number, status=await self._status())
        elif kind == "stop":
            await self._send("error", id=number, code="bad_request", message="a cluster is stopped by its operator")
        else:
            raise FrameError("bad_request", f"unknown request {kind[:40]!r}")

    def _cancel(self, number: int) -> None:
        if number in self.jobs:
            self.jobs[number].cancel()

    async def _edit(self, number: int, request: EditRequest, stream: bool) -> None:
        answer: tuple[str, dict[str, Any]]
        try:
            answer = await self._ask(number, request, stream)
        except asyncio.CancelledError:
            answer = ("error", {"code": "cancelled", "message": "the edit was cancelled"})
        except Exception as error:  # the edge of the process: Ray raises many kinds
            why = f"the cluster could not answer ({type(error).__name__}): try again, or ask its operator"
            answer = ("error", {"code": "internal", "message": why})
        self.jobs.pop(number, None)
        self.documents = {document: newest for document, newest in self.documents.items() if newest != number}
        await self._send(answer[0], id=number, **answer[1])

    async def _ask(self, number: int, request: EditRequest, stream: bool) -> tuple[str, dict[str, Any]]:
        """The final frame of one edit. Raises RayActorError when every replica that was tried died."""
        for tried in range(1, TRIES + 1):
            answers = self.engine.options(stream=True).edit.remote(request, stream)
            try:
                async for kind, fields in answers:
                    if kind != "state":
                        return kind, fields
                    await self._send(kind, id=number, **fields)
            except RayActorError:
                if tried == TRIES:
                    raise
            except asyncio.CancelledError:
                answers.cancel()
                raise
        raise RuntimeError("the replica sent no answer")

    async def _status(self) -> EngineStatus:
        """Of any replica. Raises RayActorError when all that were tried died."""
        for _ in range(TRIES - 1):
            with contextlib.suppress(RayActorError):
                return await self.engine.status.remote()
        return await self.engine.status.remote()

    async def _pulse(self) -> None:
        """Tells a waiting client that we live."""
        while True:
            await asyncio.sleep(PULSE_S)
            if self.jobs:
                await self._send("pulse", id=0)

    async def _send(self, kind: str, **fields: Any) -> None:
        await self.socket.send_bytes(frames.pack(kind, **fields))


def deploy(options: argparse.Namespace, token: str) -> None:
    """Puts the engine on the Ray cluster that we are connected to. Done again with other options, Ray
    replaces replicas one after the other while edits go on; gates stay. Raises RuntimeError when the new
    replicas do not come up; the old ones are kept as far as they were not replaced."""
    low, high = options.replicas
    engine: Any = serve.deployment(
        name="engine",
        max_ongoing_requests=PER_REPLICA,
        autoscaling_config=AutoscalingConfig(
            min_replicas=low,
            max_replicas=high,
            target_ongoing_requests=TARGET,
            upscale_delay_s=5,  # somebody is waiting
            look_back_period_s=5,
            downscale_delay_s=120,
        ),
        ray_actor_options={"num_cpus": options.threads or 1, "num_gpus": 1 if options.device == "cuda" else 0},
        health_check_period_s=5,
        graceful_shutdown_timeout_s=20,
    )(Engine)
    gate: Any = serve.deployment(
        name="gate",
        max_ongoing_requests=CONNECTIONS,
        autoscaling_config=AutoscalingConfig(
            min_replicas=1, max_replicas=MAX_GATES, target_ongoing_requests=CONNECTIONS // 2
        ),
        ray_actor_options={"num_cpus": 0},
    )(Gate)
    serve.start(
        http_options=HTTPOptions(
            host=options.host, port=options.port, ssl_certfile=options.certificate, ssl_keyfile=options.key
        )
    )
    serve.run(engine.bind(options.model, options.device, options.threads or 1), name=ENGINE, route_prefix=None)
    if GATE not in serve.status().applications:
        serve.run(gate.bind(token), name=GATE, route_prefix="/")


def why_not() -> str:
    """What Ray says of the replicas that do not come up."""
    application = serve.status().applications.get(ENGINE)
    return "".join(f"\n{d.message}" for d in application.deployments.values()) if application else ""


def last_words(told: str) -> str:
    """The line that matters of what Ray tells of a failure: the replica's own exception, behind many frames."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    ours = [line for line in lines if "EditError" in line]
    return (ours or lines or ["no reason"])[-1][:400]


def replicas(text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    return int(low), int(high or low)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="redraft engine serve --ray", description="Serve a team from a Ray cluster.")
    parser.add_argument("--address", help="the Ray cluster (`auto`, HOST:PORT); default: a new one on this machine")
    parser.add_argument("--model", help="model folder, on every node; default: the embedded model")
    parser.add_argument("--device", help="torch device; cuda takes one GPU per replica")
    parser.add_argument("--threads", type=int, help="CPU threads per replica (default 1)")
    parser.add_argument("--replicas", type=replicas, default=(1, 1), metavar="MIN:MAX")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8433)
    parser.add_argument("--certificate", metavar="FILE", help="TLS certificate (PEM), for wss://")
    parser.add_argument("--key", metavar="FILE", help="its key")
    parser.add_argument("--stop", action="store_true", help="take the engine off the cluster at --address")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Deploys; on a cluster of its own, waits until interrupted. 1: refused or failed, with the reason."""
    options = parse(arguments)
    token = os.environ.get("REDRAFT_ENGINE_TOKEN")
    if not token and not options.stop:
        print("set REDRAFT_ENGINE_TOKEN, here and for the editors: the token that lets them in", file=sys.stderr)
        return 1
    if not options.certificate and options.host not in ("127.0.0.1", "localhost", "::1"):
        print("code would cross the network unencrypted: give --certificate and --key", file=sys.stderr)
        return 1
    try:
        ray.init(address=options.address, include_dashboard=None if options.address else False, log_to_driver=False)
    except (ConnectionError, RayError) as error:
        print(f"no Ray cluster at {options.address} that lets us in: {last_words(str(error))}", file=sys.stderr)
        return 1
    if options.stop:
        serve.delete(GATE)
        serve.delete(ENGINE)
        return 0
    try:
        deploy(options, token or "")
    except RuntimeError as error:
        print(f"the cluster does not serve this: {last_words(str(error) + why_not())}", file=sys.stderr)
        return 1
    scheme = "wss" if options.certificate else "ws"
    print(f"serving on {scheme}://{options.host}:{options.port}", flush=True)
    if options.address is None:  # else the cluster was there before us, and outlives us
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
        serve.shutdown()
    return 0


if __name__ == "__main__":
    # Ray pickles what it deploys by module name: not from __main__.
    from engine.service import cluster

    sys.exit(cluster.main(sys.argv[1:]))
