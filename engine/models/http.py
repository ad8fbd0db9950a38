"""Models behind HTTP: Mercury Edit, SGLang, vLLM, and any server that speaks the OpenAI protocol.

A server answers whole texts, so an `HttpModel` is not a `Denoiser`: `engine.rewriting` makes edits of it.
Code leaves this process only by this file. Keys come from the environment or the OS keyring.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from engine.errors import EditError
from engine.models.choice import ModelChoice, remote_host, split_url
from engine.models.denoiser import CanvasItem, CanvasLogits, Denoiser
from engine.models.prompts import Hole, chat_messages, mercury_edit, mercury_fill

if TYPE_CHECKING:  # takes a while to import, and most users never need it
    import httpx2

ATTEMPTS = 4
BACKOFF_S, MAX_WAIT_S = 0.25, 10.0
CONNECT_S = 5.0  # whatever the user allows for the answer
KEY_VARIABLE = "REDRAFT_API_KEY"
MAX_ANSWER = 200_000  # characters
MAX_TOKENS = 8192  # more than this Mercury Edit does not write


class Again(Exception):
    """The request failed in a way that may pass; `wait_s` is what the server asks for."""

    def __init__(self, error: EditError, wait_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error, self.wait_s = error, wait_s


@dataclass(frozen=True, slots=True)
class Ask:
    """One text wanted, by `deadline` of time.monotonic()."""

    hole: Hole
    number: int  # 0: the server's best; others are sampled
    seed: int
    deadline: float
    on_text: Callable[[str], None]


class HttpModel:
    """`url` is the server's root, before /v1."""

    parameters = 0
    fallback: str | None = None

    def __init__(self, choice: ModelChoice, key: str | None) -> None:
        import httpx2

        assert choice.url
        self.choice = choice
        self.stand_in: Callable[[], Denoiser] | None = None  # edits when the server does not
        self.url = choice.url.rstrip("/").removesuffix("/v1")
        parts = urlsplit(self.url)
        self.host = parts.hostname or ""
        self.remote = remote_host(self.url)
        self.name = f"{choice.model or choice.protocol} at {parts.netloc}"
        # Shown wherever the model is: code leaves the machine.
        self.device = f"REMOTE: code is sent to {self.remote}" if self.remote else "this machine"
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.client = httpx2.AsyncClient(headers=headers)

    @classmethod
    def connect(cls, choice: ModelChoice) -> HttpModel:
        """Sends nothing. Raises EditError when the address or the key cannot be meant."""
        parts = split_url(choice.url or "")
        if parts.username or parts.password:
            raise EditError(
                "model_unavailable", "keys do not belong in the address: set the variable that --key-env names"
            )
        if parts.scheme == "http" and remote_host(choice.url):
            raise EditError("model_unavailable", f"{parts.hostname} would get code unencrypted: use https")
        return cls(choice, find_key(choice, parts.hostname or ""))

    def warm(self, context: object) -> None:
        """Nothing: code is sent for an edit and for nothing else."""

    def denoise(self, items: Sequence[CanvasItem]) -> list[CanvasLogits]:
        """By the stand-in: a session of texts asks for no canvases."""
        return self.stand_in().denoise(items) if items and self.stand_in else []

    def write(self, ask: Ask) -> Future[str]:
        """The text for a hole. Tries again, with jitter, what may pass. Fails with EditError; cancelling it hangs up
        on the server at once."""
        return asyncio.run_coroutine_threadsafe(self._write(ask), event_loop())

    async def _write(self, ask: Ask) -> str:
        for attempt in range(ATTEMPTS):
            try:
                return await self._once(ask)
            except Again as again:
                wait = again.wait_s or BACKOFF_S * 2**attempt * random.uniform(0.5, 1.5)
                last = attempt == ATTEMPTS - 1 or wait > MAX_WAIT_S
                if last or time.monotonic() + wait > ask.deadline:
                    raise again.error from None
                await asyncio.sleep(wait)
        raise AssertionError

    async def _once(self, ask: Ask) -> str:
        import httpx2

        path, body = request_body(self.choice, ask)
        left = ask.deadline - time.monotonic()
        timeout = max(0.05, min(self.choice.timeout_s, left))
        limits = httpx2.Timeout(timeout, connect=min(CONNECT_S, timeout))
        try:
            async with self.client.stream("POST", self.url + path, json=body, timeout=limits) as response:
                if response.status_code != 200:
                    raise self._refusal(response)
                return await self._text(response, ask)
        except httpx2.ReadTimeout:
            raise Again(self._failure(f"did not answer within {timeout:.0f} s: try again or raise --timeout")) from None
        except httpx2.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                trusted = "check the address, or name its authority's file in SSL_CERT_FILE"
                raise self._failure(f"has a certificate that is not trusted: {trusted}") from None
            why = type(error).__name__
            raise Again(self._failure(f"cannot be reached ({why}): check the address and the network")) from None

    async def _text(self, response: httpx2.Response, ask: Ask) -> str:
        streamed = "text/event-stream" in response.headers.get("content-type", "")
        text, finish = "", None
        try:
            async for part, reason in stream_parts(response) if streamed else whole(response):
                text, finish = text + part, reason or finish
                if len(text) > MAX_ANSWER:
                    raise EditError("too_large", f"{self.host} does not stop writing: select less")
                ask.on_text(text)
        except (ValueError, KeyError, IndexError, TypeError):
            raise Again(self._failure("gave an answer that is not of its protocol: check --protocol")) from None
        if finish == "length":
            raise EditError("too_large", f"{self.host} stopped in the middle of its answer: select less")
        if finish is None:
            raise Again(self._failure("gave half an answer: try again"))
        return text

    def _refusal(self, response: httpx2.Response) -> Exception:
        code = response.status_code
        if code in (401, 403):
            variable = self.choice.key_env or KEY_VARIABLE
            return self._failure(f"refused the key ({code}): set {variable}, or `keyring set redraft {self.host}`")
        if code == 404:
            return self._failure(f"does not know the model {self.choice.model!r} or the path (404): check both")
        if code == 429:
            return Again(self._failure("says too many requests (429): wait or raise your limit"), retry_after(response))
        if code >= 500:
            return Again(self._failure(f"has a fault of its own ({code}): try again later"), retry_after(response))
        return self._failure(f"refused the request ({code}): check --model and --protocol")

    def _failure(self, what: str) -> EditError:
        return EditError("model_unavailable", f"{self.host} {what}")


Model: TypeAlias = Denoiser | HttpModel


@functools.cache
def event_loop() -> asyncio.AbstractEventLoop:
    """On a thread of its own, for the requests of all models."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="http").start()
    return loop


def find_key(choice: ModelChoice, host: str) -> str | None:
    """From the environment, else from the OS keyring (service "redraft", user: the host), else none.

    Raises EditError when the variable that the user named is not set, or what is there cannot be a key."""
    key = os.environ.get(choice.key_env or KEY_VARIABLE, "").strip()
    if not key and choice.key_env:
        raise EditError("model_unavailable", f"the environment variable {choice.key_env} is not set: put the key there")
    key = key or keyring_key(host)
    if key and not (key.isascii() and key.isprintable()):
        raise EditError("model_unavailable", f"the key for {host} holds characters that no key has: set it again")
    return key


def keyring_key(host: str) -> str | None:
    """None also where there is no keyring."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        return None
    try:
        return keyring.get_password("redraft", host)
    except keyring.errors.KeyringError:
        return None


def request_body(choice: ModelChoice, ask: Ask) -> tuple[str, dict[str, Any]]:
    """Path and body of the request. Mercury's edit endpoint neither streams nor samples."""
    model: dict[str, Any] = {"model": choice.model} if choice.model else {}
    tokens = min(256 + len(ask.hole.span), MAX_TOKENS)
    if choice.protocol == "mercury" and ask.hole.intent == "fill":
        return "/v1/fim/completions", model | mercury_fill(ask.hole) | {"max_tokens": tokens, "stream": True}
    if choice.protocol == "mercury":
        message = {"role": "user", "content": mercury_edit(ask.hole)}
        return "/v1/edit/completions", model | {"messages": [message], "max_tokens": tokens}
    sampling: dict[str, Any] = {"temperature": 0.7, "seed": ask.seed + ask.number} if ask.number else {"temperature": 0}
    body = {"messages": chat_messages(ask.hole), "max_tokens": tokens, "stream": True}
    return "/v1/chat/completions", model | body | sampling


async def whole(response: httpx2.Response) -> AsyncIterator[tuple[str, str | None]]:
    """Text and finish reason of an answer in one piece."""
    choice = json.loads(await response.aread())["choices"][0]
    yield choice_text(choice, "message"), choice.get("finish_reason")


async def stream_parts(response: httpx2.Response) -> AsyncIterator[tuple[str, str | None]]:
    """Parts of a server-sent event stream (OpenAI's `data:` lines, `[DONE]` last)."""
    async for line in response.aiter_lines():
        if not line.startswith("data:"):
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            return
        for choice in json.loads(data)["choices"][:1]:
            yield choice_text(choice, "delta"), choice.get("finish_reason")


def choice_text(choice: dict[str, Any], field: str) -> str:
    text = choice[field].get("content") if field in choice else choice["text"]
    if text is not None and not isinstance(text, str):
        raise ValueError("text expected")
    return text or ""


def retry_after(response: httpx2.Response) -> float | None:
    """Seconds of the Retry-After header (RFC 9110, 10.2.3), None without one in seconds."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
