"""A real Ray cluster on this machine, used like a team's: TLS, tokens, language servers, load, a model change while
edits are under way, a replica killed among them, and nothing lost.

Not part of `make test`, because Ray is an extra: `make test-cluster`. The tests are one story, in this order.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import trustme

from engine.messages import DenoisingState, EditRequest
from engine.models.loading import EMBEDDED
from engine.service.client import EngineClient, EngineFailure, EngineOptions, EngineUnavailable
from tests.lsp.raw_client import RawClient

TOKEN = "a-token-of-the-test"
REQUEST = EditRequest("fix", "def area(width, height):\n", "    return (width * height\n", "\n\nprint(area(2, 3))\n")
REWRITE = EditRequest("rewrite", "def total(items):\n", "    result = 0\n", "    return result\n")
LINE = {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 26}}
URIS = [f"file:///area{i}.py" for i in range(8)]  # of each language server
WITHIN_S = 240.0  # machines are busy


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Cluster:
    """A Ray head node of its own, and the operator's command."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.metrics, head = folder, free_port(), free_port(), free_port()
        self.authority = folder / "authority.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        certificate = authority.issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        self.address, self.url = f"127.0.0.1:{head}", f"wss://localhost:{self.port}"
        of_ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
        self.environment = {**os.environ, **of_ray, "REDRAFT_ENGINE_TOKEN": TOKEN}
        ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
        options = ["start", "--head", "--block", f"--port={head}", "--num-cpus=4", "--include-dashboard=false"]
        with (folder / "head.log").open("wb") as log:
            self.head = subprocess.Popen(
                [*ray, *options, f"--metrics-export-port={self.metrics}"],
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def serve(self, *options: str) -> subprocess.CompletedProcess[str]:
        """`redraft engine serve --ray`, to its end."""
        where = ["--address", self.address, "--port", str(self.port)]
        keys = ["--certificate", str(self.folder / "certificate.pem"), "--key", str(self.folder / "key.pem")]
        command = [sys.executable, "-m", "engine.cli", "engine", "serve", "--ray", *where, *keys, *options]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=WITHIN_S)

    def end(self) -> None:
        children = psutil.Process(self.head.pid).children(recursive=True)
        self.head.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.head.wait(5)
        for child in (*children, self.head):
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                child.kill()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        give_up = time.monotonic() + 60
        while (done := cluster.serve("--replicas", "1:2")).returncode and time.monotonic() < give_up:
            assert "no Ray cluster" in done.stderr, done.stderr[-2000:]  # it is starting
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout == f"serving on wss://127.0.0.1:{cluster.port}\n"
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def options(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> EngineOptions:
    monkeypatch.setenv("REDRAFT_ENGINE_TOKEN", TOKEN)
    monkeypatch.setenv("SSL_CERT_FILE", str(cluster.authority))
    return EngineOptions(url=cluster.url)


async def replicas(options: EngineOptions) -> dict[int, str]:
    """Model by process of those that answer."""
    client = await EngineClient.connect(options)
    answers = [await client.status() for _ in range(12)]
    await client.close()
    return {answer.pid: answer.model for answer in answers}


async def until_replicas(options: EngineOptions, count: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(await replicas(options)) != count:
            await asyncio.sleep(0.5)


async def test_an_edit_streams_its_states(options: EngineOptions) -> None:
    client = await EngineClient.connect(options)
    states: list[DenoisingState] = []
    result = await client.edit(REQUEST, on_state=states.append)
    assert result.candidates[0].parses
    assert states
    assert (await client.status()).model
    await client.close()


async def test_who_has_no_token_is_refused(options: EngineOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("wrong", ""):
        monkeypatch.setenv("REDRAFT_ENGINE_TOKEN", token)
        with pytest.raises(EngineUnavailable, match="token"):
            await EngineClient.connect(options)


async def test_a_certificate_that_nobody_vouches_for_is_refused(
    options: EngineOptions, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(EngineUnavailable, match="SSL_CERT_FILE"):
        await EngineClient.connect(options)
    with pytest.raises(EngineUnavailable, match="no engine at"):  # no plain text on this port
        await EngineClient.connect(EngineOptions(url=cluster.url.replace("wss", "ws")))


async def test_the_newest_edit_of_a_document_wins(options: EngineOptions) -> None:
    client = await EngineClient.connect(options)
    older = asyncio.create_task(client.edit(REWRITE, document="a"))
    await asyncio.sleep(0.01)
    newer = await client.edit(REQUEST, document="a")
    assert newer.candidates
    with pytest.raises(EngineFailure, match="cancelled"):
        await older
    await client.close()


class Load:
    """Edits without pause over one connection, `width` at a time, until `stop`."""

    def __init__(self, client: EngineClient, width: int) -> None:
        self.client, self.done, self.going = client, 0, True
        self.workers = [asyncio.create_task(self._work()) for _ in range(width)]

    async def _work(self) -> None:
        while self.going:
            result = await self.client.edit(REQUEST)
            assert result.candidates[0].parses
            self.done += 1

    async def stop(self) -> None:
        """Raises the first failure of an edit."""
        self.going = False
        await asyncio.wait_for(asyncio.gather(*self.workers), WITHIN_S)
        await self.client.close()


async def test_load_brings_a_second_replica(options: EngineOptions) -> None:
    assert len(await replicas(options)) == 1
    load = Load(await EngineClient.connect(options), 16)
    await until_replicas(options, 2)
    await load.stop()


async def test_a_model_changes_while_edits_go_on(options: EngineOptions, cluster: Cluster, tmp_path: Path) -> None:
    """The connection stays, no edit fails, and in the end all replicas have the new model."""
    folder = shutil.copytree(EMBEDDED, tmp_path / "other")
    before = await replicas(options)
    load = Load(await EngineClient.connect(options), 4)
    done = await asyncio.to_thread(cluster.serve, "--replicas", "2", "--model", str(folder))
    assert done.returncode == 0, done.stderr[-2000:]
    after = await replicas(options)
    await load.stop()
    assert load.done > 10
    assert set(after.values()) == {"other"}
    assert not set(before) & set(after)


async def language_server(options: EngineOptions) -> RawClient:
    editor = await RawClient.start()
    settings = {"diagnostics": {"enable": False}, "deadlineMs": 120_000}
    await editor.initialize({"engine": {"url": options.url}, **settings})
    for uri in URIS:
        editor.open(uri, REQUEST.prefix + REQUEST.span + REQUEST.suffix)
    return editor


async def test_language_servers_lose_nothing_when_a_replica_dies(options: EngineOptions) -> None:
    """Three of them; one of two replicas is killed while their edits are under way."""
    editors = [await language_server(options) for _ in range(3)]
    pids = await replicas(options)
    assert len(pids) == 2
    edits = [
        asyncio.create_task(editor.command("redraft.fix", {"uri": uri, "range": LINE, "apply": False}))
        for editor in editors
        for uri in URIS
    ]
    await asyncio.wait(edits, return_when=asyncio.FIRST_COMPLETED)
    assert sum(not edit.done() for edit in edits) > len(URIS)  # under way on both
    os.kill(min(pids), signal.SIGKILL)
    answers: list[dict[str, Any]] = await asyncio.wait_for(asyncio.gather(*edits), WITHIN_S)
    for answer in answers:
        assert answer["candidates"], answer
        assert "width * height)" in answer["proposal"]["candidates"][0]["text"]
    for editor in editors:
        assert editor.status["kind"] == "Normal"
        assert await editor.stop() == 0
        editor.check_answers()
    await until_replicas(options, 2)  # Ray puts another in its place


async def test_a_model_that_cannot_be_loaded_leaves_the_old_one(
    options: EngineOptions, cluster: Cluster, tmp_path: Path
) -> None:
    folder = shutil.copytree(EMBEDDED, tmp_path / "broken")
    (folder / "model.safetensors").write_bytes(b"half a file")
    done = await asyncio.to_thread(cluster.serve, "--replicas", "2", "--model", str(folder))
    assert done.returncode == 1
    assert "cannot be loaded" in done.stderr
    client = await EngineClient.connect(options)
    assert (await client.edit(REQUEST)).candidates
    await client.close()


def test_metrics_are_in_prometheus_form(cluster: Cluster) -> None:
    answered = re.compile(r'^ray_redraft_edits\w*\{[^}]*outcome="result"[^}]*\} (\S+)$', re.M)
    text, give_up = "", time.monotonic() + 60
    while sum(map(float, answered.findall(text))) < 40 and time.monotonic() < give_up:
        text = httpx2.get(f"http://127.0.0.1:{cluster.metrics}/metrics").text
        time.sleep(1)  # they are exported every few seconds
    assert sum(map(float, answered.findall(text))) >= 40, sorted(set(re.findall(r"^ray_redraft\w+", text, re.M)))
    assert re.search(r'^ray_redraft_edit_ms_bucket\{[^}]*le="300', text, re.M)
    assert "width" not in text  # no code in them


async def test_the_operator_takes_it_off(options: EngineOptions, cluster: Cluster) -> None:
    done = await asyncio.to_thread(cluster.serve, "--stop")
    assert done.returncode == 0, done.stderr[-2000:]
    with pytest.raises(EngineUnavailable, match="no engine at"):
        await EngineClient.connect(options)
