"""Watches the project files that hold settings, for clients that do not watch files for their servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from watchdog.events import FileClosedNoWriteEvent, FileOpenedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from lsp_server.settings import PROJECT_FILES

logger = logging.getLogger(__name__)


class ProjectFiles(FileSystemEventHandler):
    """Calls `changed` in the event loop whenever a project file of a followed folder was written, moved or removed."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._observer: BaseObserver | None = None
        self._watches: dict[Path, ObservedWatch] = {}
        self._loop: asyncio.AbstractEventLoop

    def follow(self, folders: set[Path]) -> None:
        """These folders and no others. One that cannot be watched is left to the client's own notifications."""
        self._loop = asyncio.get_running_loop()
        if self._observer is None:
            self._observer = Observer()
            self._observer.daemon = True
            self._observer.start()
        for folder in self._watches.keys() - folders:
            self._observer.unschedule(self._watches.pop(folder))
        for folder in folders - self._watches.keys():
            try:
                self._watches[folder] = self._observer.schedule(self, str(folder))
            except OSError as error:
                logger.warning("a folder cannot be watched for settings: %s", error.strerror)

    def stop(self) -> None:
        if self._observer:
            self._observer.stop()
            self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """On the observer's thread. That we read a file ourselves is no change."""
        if isinstance(event, (FileOpenedEvent, FileClosedNoWriteEvent)):
            return
        if any(Path(str(path)).name in PROJECT_FILES for path in (event.src_path, event.dest_path)):
            try:
                self._loop.call_soon_threadsafe(self._changed)
            except RuntimeError:  # the loop is closed: the server ends
                return
