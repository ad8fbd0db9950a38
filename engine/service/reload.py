"""Watches a model folder and says when its weights were replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer


class _WeightsReplaced(FileSystemEventHandler):
    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def on_closed(self, event: FileSystemEvent) -> None:
        self._look(str(event.src_path))

    def on_moved(self, event: FileSystemEvent) -> None:
        self._look(str(event.dest_path))

    def _look(self, path: str) -> None:
        if Path(path).name == "model.safetensors":
            self._changed()


def watch_weights(folder: Path, changed: Callable[[], None]) -> Any:
    """Calls `changed` (on a thread of its own) after each complete write of the weights; `.stop()` ends it."""
    observer = Observer()
    observer.daemon = True
    observer.schedule(_WeightsReplaced(changed), str(folder))
    observer.start()
    return observer
