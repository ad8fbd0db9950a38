"""The engine's one error, with the code the protocol knows it by."""

from __future__ import annotations

from engine.messages import ErrorCode


class EditError(Exception):
    """An edit that could not be done. `message` is one line that names the remedy."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
