"""Models behind HTTP, against a scripted server: prompts, edits, faults, keys, cancel and deadline."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import keyring
import pytest
import trustme
from keyring.backend import KeyringBackend

from engine.editing import run_session
from engine.errors import EditError
from engine.messages import EditRequest, Intent
from engine.models import http
from engine.models.choice import ModelChoice, choice_file, read_choice, write_choice
from engine.models.http import Ask, HttpModel, find_key, request_body
from engine.models.loading import load_choice, load_denoiser, load_model
from engine.models.prompts import NEAR, SYSTEM, Hole, answer_text, chat_messages, mercury_edit
from engine.rewriting import open_session
from engine.service.scheduler import Job, Scheduler
from tests.models.scripted_server import chat, piece, scripted

REQUEST = EditRequest(
    "rewrite", "def f(x):\n", "    y = x\n    return y\n", "\nprint(f(1))\n", instruction="no y", candidates=1
)
GOOD = "    return x\n"


@pytest.fixture
def server(monkeypatch) -> Iterator[Any]:
    monkeypatch.setattr(http, "BACKOFF_S", 0.01)
    with scripted() as running:
        yield running


def choice(server, **fields) -> ModelChoice:
    return ModelChoice(url=f"http://127.0.0.1:{server.server_port}", model="m", **fields)


def edit(server, request: EditRequest = REQUEST, **fields):
    model = load_choice(choice(server, **fields))
    return run_session(open_session(request, model), model)


def test_a_streamed_answer_becomes_an_edit_with_states(server) -> None:
    server.replies = [chat(GOOD)]
    model, states = load_choice(choice(server)), []
    result = run_session(open_session(REQUEST, model), model, on_state=states.append)
    assert [c.text for c in result.candidates] == [GOOD]
    assert result.candidates[0].parses
    path, _, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert body["model"] == "m"
    assert body["stream"] is True
    assert states


def test_candidates_differ_by_seed_and_are_distinct(server) -> None:
    server.replies = [chat(GOOD), chat(GOOD), chat("    return (x)\n")]
    result = edit(server, replace(REQUEST, candidates=3))
    assert {c.text for c in result.candidates} == {GOOD, "    return (x)\n"}
    assert sorted(body.get("seed", -1) for _, _, body in server.asked) == [-1, 1, 2]


def test_mercury_edits_and_fills(server) -> None:
    server.replies = [piece(f"```python\n{GOOD}```")]
    assert [c.text for c in edit(server, protocol="mercury").candidates] == [GOOD]
    edit(server, replace(REQUEST, intent="fill"), protocol="mercury")
    assert [path for path, _, _ in server.asked] == ["/v1/edit/completions", "/v1/fim/completions"]
    assert server.asked[1][2]["prompt"].endswith("def f(x):\n")
    assert server.asked[1][2]["suffix"] == REQUEST.suffix


@pytest.mark.parametrize(
    ("reply", "code", "word", "times"),
    [
        ((401, {}, ""), "model_unavailable", "refused the key (401)", 1),
        ((404, {}, ""), "model_unavailable", "does not know the model", 1),
        ((429, {"Retry-After": "3600"}, ""), "model_unavailable", "too many requests", 1),
        ((503, {}, "<html>"), "model_unavailable", "(503)", http.ATTEMPTS),
        ((200, {}, "<html>"), "model_unavailable", "not of its protocol", http.ATTEMPTS),
        ((200, {}, '{"choices": []}'), "model_unavailable", "not of its protocol", http.ATTEMPTS),
        (chat("    ret", finish=None), "model_unavailable", "half an answer", http.ATTEMPTS),
        (chat("    ret", finish="length"), "too_large", "select less", 1),
    ],
)
def test_faults_are_said_in_one_line(server, reply, code, word, times) -> None:
    server.replies = [reply]
    with pytest.raises(EditError) as caught:
        edit(server)
    assert caught.value.code == code
    assert word in caught.value.message
    assert "\n" not in caught.value.message
    assert len(server.asked) == times


def test_what_passes_is_tried_again(server) -> None:
    server.replies = [(503, {}, ""), (429, {"Retry-After": "0"}, ""), chat("    re", finish=None), chat(GOOD)]
    assert [c.text for c in edit(server).candidates] == [GOOD]


def test_an_unreachable_server(server) -> None:
    model = load_choice(ModelChoice(url="http://127.0.0.1:9", model="m"))
    with pytest.raises(EditError, match="cannot be reached"):
        run_session(open_session(REQUEST, model), model)


def test_a_certificate_must_be_trusted(server, tmp_path, monkeypatch) -> None:
    """One that nobody vouches for, one of another host, and one of an authority that the user named."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server.replies = [chat(GOOD)]
    encrypt(server, authority.issue_cert("localhost"))
    with pytest.raises(EditError, match="SSL_CERT_FILE"):
        edit_at(f"https://localhost:{server.server_port}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert [c.text for c in edit_at(f"https://localhost:{server.server_port}").candidates] == [GOOD]
    with pytest.raises(EditError, match="certificate"):
        edit_at(f"https://127.0.0.1:{server.server_port}")
    assert len(server.asked) == 1  # no code before the certificate was trusted
    with pytest.raises(EditError, match="cannot be reached"):
        edit_at(f"http://127.0.0.1:{server.server_port}")


def encrypt(server, certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)


def edit_at(url: str):
    model = load_choice(ModelChoice(url=url, model="m"))
    return run_session(open_session(REQUEST, model), model)


def test_an_answer_that_breaks_what_parsed_is_dropped(server) -> None:
    server.replies = [chat("    return (x\n")]
    result = edit(server)
    assert result.candidates == ()
    assert result.reason == "unchanged"


def test_the_deadline_ends_a_slow_answer(server) -> None:
    server.replies = [(200, {"Content-Type": "text/event-stream"}, [30.0])]
    result = edit(server, replace(REQUEST, deadline_ms=300))
    assert result.reason == "deadline"
    assert result.candidates == ()


def test_cancel_takes_effect_while_the_server_writes(server) -> None:
    server.replies = [(200, {"Content-Type": "text/event-stream"}, [30.0])]
    scheduler = Scheduler(load_choice(choice(server)))
    ended, errors = threading.Event(), []

    def failed(error: EditError) -> None:
        errors.append(error.code)
        ended.set()

    job = Job(lambda model: open_session(REQUEST, model), None, lambda _: None, lambda _: None, failed)
    thread = threading.Thread(target=scheduler.run, daemon=True)
    thread.start()
    scheduler.submit(job)
    while not server.asked:
        time.sleep(0.01)
    scheduler.cancel(job)
    assert ended.wait(20)
    assert errors == ["cancelled"]
    scheduler.stop()


def test_cancelled_requests_hang_up_and_hold_nobody_back(server) -> None:
    """However many: a server that is slow to begin keeps no later edit waiting."""
    server.replies = [(200, {"Content-Type": "text/event-stream"}, [part for _ in range(600) for part in (0.05, "\n")])]
    model = load_choice(choice(server))
    for edits in range(1, 21):
        session = open_session(replace(REQUEST, candidates=4), model)
        next(session)
        give_up = time.monotonic() + 60
        while len(server.asked) < 4 * edits and time.monotonic() < give_up:
            time.sleep(0.01)
        session.close()
    assert len(server.asked) == 80
    assert server.hung_up.wait(20)
    server.replies = [chat(GOOD)]
    started = time.monotonic()
    assert [c.text for c in edit(server).candidates] == [GOOD]
    assert time.monotonic() - started < 15  # of the 30 s that the others would have taken


def test_an_address_that_swallows_everything_is_given_up_soon(monkeypatch) -> None:
    """A full backlog: the connection is neither taken nor refused, as behind a firewall."""
    monkeypatch.setattr(http, "BACKOFF_S", 0.01)
    monkeypatch.setattr(http, "CONNECT_S", 0.3)
    with socket.socket() as listener, contextlib.ExitStack() as others:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(listener.getsockname())
        model = load_choice(ModelChoice(url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout_s=600))
        with pytest.raises(EditError, match="cannot be reached"):
            run_session(open_session(REQUEST, model), model)


def test_waits_between_tries_grow_and_differ(server, monkeypatch) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(http, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": sleep}))
    monkeypatch.setattr(http, "BACKOFF_S", 1.0)
    server.replies = [(503, {}, "")]
    for _ in range(5):
        with pytest.raises(EditError):
            edit(server)
    for tried in range(http.ATTEMPTS - 1):
        same = waits[tried :: http.ATTEMPTS - 1]
        assert all(0.5 * 2**tried <= wait <= 1.5 * 2**tried for wait in same)
        assert len(set(same)) == 5


def test_the_key_comes_from_the_environment_and_stays_there(server, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "s3cret")
    server.replies = [(401, {}, "")]
    with pytest.raises(EditError) as caught:
        edit(server, key_env="MY_KEY")
    assert server.asked[0][1]["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in caught.value.message
    with pytest.raises(EditError, match="NOT_SET"):
        find_key(ModelChoice(url="https://x.org", key_env="NOT_SET"), "x.org")
    for odd in ("schlüssel", "two\nlines"):
        monkeypatch.setenv("MY_KEY", odd)
        with pytest.raises(EditError, match="set it again") as caught:
            edit(server, key_env="MY_KEY")
        assert odd not in caught.value.message


def test_the_key_comes_from_the_keyring_else(server, monkeypatch) -> None:
    class Ring(KeyringBackend):
        priority = 1

        def get_password(self, service: str, username: str) -> str | None:
            return {("redraft", "127.0.0.1"): "from-the-ring"}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None: ...

        def delete_password(self, service: str, username: str) -> None: ...

    monkeypatch.delenv(http.KEY_VARIABLE, raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())
    try:
        server.replies = [chat(GOOD)]
        edit(server)
        assert server.asked[0][1]["Authorization"] == "Bearer from-the-ring"
        monkeypatch.setenv(http.KEY_VARIABLE, "from-the-environment")
        edit(server)
        assert server.asked[1][1]["Authorization"] == "Bearer from-the-environment"
    finally:
        keyring.set_keyring(before)


def test_the_mark_that_code_leaves_the_machine() -> None:
    assert "REMOTE" in HttpModel.connect(ModelChoice(url="https://api.example.org/v1", model="m")).device
    assert "REMOTE" not in HttpModel.connect(ModelChoice(url="http://localhost:8000", model="m")).device


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.org",
        "ftp://x.org",
        "https://user:pw@x.org",
        "nonsense",
        "https://[::1",
        "https://x.org:99999",
    ],
)
def test_addresses_that_would_leak_or_mean_nothing(url) -> None:
    with pytest.raises(EditError) as caught:
        HttpModel.connect(ModelChoice(url=url))
    assert caught.value.code == "model_unavailable"


def test_the_choice_is_the_users_file_and_falls_back(server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("REDRAFT_CONFIG_DIR", str(tmp_path))
    assert read_choice() == ModelChoice()
    wanted = ModelChoice(path=str(tmp_path / "gone"))
    write_choice(wanted)
    assert read_choice() == wanted
    assert choice_file().stat().st_mode & 0o077 == 0
    assert "instead of" in load_model().name
    write_choice(replace(wanted, fallback=False))
    with pytest.raises(EditError, match="no model in"):
        load_model()
    write_choice(choice(server))
    assert isinstance(load_model(), HttpModel)
    with pytest.raises(EditError, match="gives no logits"):
        load_denoiser()
    for damaged in (
        "{",
        '{"colour": 1}',
        '{"fallback": "yes"}',
        '{"protocol": "gopher"}',
        '{"sampler": "luck"}',
        '{"timeout_s": NaN}',
        '{"url": "https://[::1"}',
    ):
        choice_file().write_text(damaged)
        with pytest.raises(EditError, match="redraft model use"):
            read_choice()


HOLE = Hole("fix", "def f():\n", "    retrun 1\n", "\nf()\n", "python", "a/b.py", "invalid syntax")


def test_golden_prompts() -> None:
    assert chat_messages(HOLE) == [
        {"role": "system", "content": SYSTEM},
        {
            "role": "user",
            "content": "Task: Fix what is wrong in the region. invalid syntax\nLanguage: python\n\n"
            "def f():\n<region>    retrun 1\n</region>\nf()\n",
        },
    ]
    assert mercury_edit(HOLE) == (
        "<|recently_viewed_code_snippets|>\n\n<|/recently_viewed_code_snippets|>\n"
        "<|current_file_content|>\ncurrent_file_path: a/b.py\ndef f():\n"
        "<|code_to_edit|>\n    retrun 1\n<|cursor|>\n<|/code_to_edit|>\n\nf()\n<|/current_file_content|>\n"
        "<|edit_diff_history|>\n# Fix what is wrong in the region. invalid syntax\n<|/edit_diff_history|>"
    )


def test_golden_requests() -> None:
    """What is sent, whole, for each protocol and intent."""

    def sent(protocol, intent: Intent, number: int = 0):
        hole = replace(HOLE, intent=intent)
        ask = Ask(hole, number, 7, float("inf"), lambda _: None)
        return request_body(ModelChoice(url="https://x.org", model="m", protocol=protocol), ask)

    messages, tokens = chat_messages(HOLE), 256 + len(HOLE.span)
    first = {"model": "m", "messages": messages, "max_tokens": tokens, "stream": True, "temperature": 0}
    assert sent("openai", "fix") == ("/v1/chat/completions", first)
    assert sent("openai", "fix", 2) == ("/v1/chat/completions", {**first, "temperature": 0.7, "seed": 9})
    asked = {"role": "user", "content": mercury_edit(HOLE)}
    assert sent("mercury", "fix") == (
        "/v1/edit/completions",
        {"model": "m", "messages": [asked], "max_tokens": tokens},
    )
    around = {"prompt": "def f():\n", "suffix": "\nf()\n"}
    assert sent("mercury", "fill") == (
        "/v1/fim/completions",
        {"model": "m", **around, "max_tokens": tokens, "stream": True},
    )


def test_only_the_near_code_is_sent() -> None:
    far = replace(HOLE, prefix="FAR" + "p" * NEAR, suffix="s" * NEAR + "FAR", span="x" * 20_000)
    for protocol in ("openai", "mercury"):
        for intent in ("fix", "rewrite", "fill"):
            ask = Ask(replace(far, intent=intent), 0, 0, float("inf"), lambda _: None)
            _, body = request_body(ModelChoice(url="https://x.org", protocol=protocol), ask)
            assert "FAR" not in str(body)
            assert body["max_tokens"] == http.MAX_TOKENS


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("    return 1\n", "    return 1\n"),
        ("```python\n    return 1\n```", "    return 1\n"),
        ("Here you are:\n\n```python\n    return 1\n```\n\nIt returns 1.", "    return 1\n"),
        ("return 1", "    return 1\n"),
        ("<region>    return 1</region>", "    return 1\n"),
        ("if x:\n    return 1", "    if x:\n        return 1\n"),
        ("if x:\n        return 1", "    if x:\n        return 1\n"),
        ("", "\n"),
    ],
)
def test_answers_get_the_regions_indentation(answer, text) -> None:
    assert answer_text(answer, "    retrun 1\n") == text
