"""The settings in force, folder by folder, and what changes them while the server runs."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.uris import to_fs_path

from lsp_server.settings import PROJECT_FILES, Settings, project_settings, trusted_part, updated
from lsp_server.watching import ProjectFiles

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

SETTLE_S = 0.2  # editors write a file in several steps
ANSWER_S = 5.0
MAX_TOLD = 5  # problems at once, each a message on the user's screen


class Configuration:
    """Three layers: what may start programs, from the client's initialization options; the project's file; the
    editor's settings, which are pulled, or pushed, or else those of the initialization options. What either of the
    latter two excludes is excluded."""

    def __init__(self, server: RedraftServer) -> None:
        self._server = server
        self.client = Settings()  # from the initialization options
        self._options: Any = None
        self._pushed: Any = None
        self._folders: dict[str, Settings] = {}  # by plain URI; "" is everywhere else
        self._projects: dict[Path, Any] = {}  # the trees of the projects' own files
        self._standing: set[str] = set()  # problems that the user has been told of
        self._reloads = 0
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._files = ProjectFiles(self.reload_soon)

    def of(self, uri: str) -> Settings:
        """Settings of the innermost workspace folder that holds `uri`."""
        uri = plain_uri(uri)
        holding = [folder for folder in self._folders if folder and uri.startswith(folder + "/")]
        return self._folders.get(max(holding, key=len, default=""), self.client)

    def take_options(self, options: Any) -> None:
        """The client's initialization options, {settings: tree} or the tree itself."""
        self._options = options.get("settings", options) if isinstance(options, dict) else None
        self.client, problems = updated(Settings(), self._options, trusted=True)
        self._report(problems)
        self._server.link.configure(self.client)

    def choose_model(self, path: str | None) -> None:
        self.client = replace(self.client, model_path=path)
        self._folders = {folder: replace(settings, model_path=path) for folder, settings in self._folders.items()}
        self._server.link.configure(self.client)

    async def take_pushed(self, tree: Any) -> None:
        """The settings of `workspace/didChangeConfiguration`; clients that are asked for them push nothing."""
        if isinstance(tree, dict) and "redraft" in tree:
            self._pushed = tree["redraft"]
        await self.reload()

    def reload_soon(self) -> None:
        """Once files have settled; in the event loop."""
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(SETTLE_S, self._start_reload)

    def _start_reload(self) -> None:
        self._task = asyncio.create_task(self.reload())

    async def reload(self) -> None:
        """Reads all layers anew. They come into force together: an `exclude` must not lapse meanwhile."""
        self._reloads += 1
        number = self._reloads
        workspace = self._server.workspace
        folders = [*(workspace.folders or filter(None, [workspace.root_uri])), ""]  # older clients have a root alone
        trees = await self._editor_trees(folders)
        if number != self._reloads:
            return  # a newer one has fresher answers
        fresh: dict[str, Settings] = {}
        problems: list[str] = []
        for folder, tree in zip(folders, trees, strict=True):
            fresh[plain_uri(folder)], found = self._layered(local_path(folder), tree)
            problems += found
        self._folders = fresh
        self._report(problems)
        self._files.follow({path for folder in folders if (path := local_path(folder)) and path.is_dir()})
        self._server.diagnose_all()

    async def _editor_trees(self, folders: Sequence[str]) -> list[Any]:
        """One tree a folder, as the editor has it."""
        given = self._options if self._pushed is None else self._pushed
        workspace = self._server.client_capabilities.workspace
        if workspace and workspace.configuration:
            items = [lsp.ConfigurationItem(scope_uri=folder or None, section="redraft") for folder in folders]
            with contextlib.suppress(asyncio.TimeoutError, JsonRpcException, TypeError):
                asked = self._server.workspace_configuration_async(lsp.ConfigurationParams(items))
                answers = await asyncio.wait_for(asked, ANSWER_S)
                if len(answers) == len(folders):
                    return [answer or given for answer in answers]
        return [given] * len(folders)

    def _layered(self, path: Path | None, tree: Any) -> tuple[Settings, list[str]]:
        settings, problems = trusted_part(self.client), list[str]()
        if path:
            project, problems = project_settings(path)
            if project is not None:  # half-written, it must not take an `exclude` away
                self._projects[path] = project
            settings, found = updated(settings, self._projects.get(path))
            problems = problems + found
        guarded = settings.exclude
        settings, found = updated(settings, tree)
        settings = replace(settings, exclude=tuple(dict.fromkeys((*guarded, *settings.exclude))))
        return settings, problems + found

    def _report(self, problems: Sequence[str]) -> None:
        """Each problem once, and again when it comes back after it was mended."""
        fresh = [problem for problem in dict.fromkeys(problems) if problem not in self._standing]
        more = [f"redraft: {len(fresh) - MAX_TOLD} more settings are wrong"] if len(fresh) > MAX_TOLD else []
        for problem in fresh[:MAX_TOLD] + more:
            self._server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, problem))
        self._standing = set(problems)

    def close(self) -> None:
        self._files.stop()

    # Registration with the client

    async def register(self) -> None:
        """Asks the client to tell of changed settings and project files, where it can be asked (LSP 3.17,
        "Register Capability")."""
        workspace = self._server.client_capabilities.workspace
        if workspace is None:
            return
        wanted: list[lsp.Registration] = []
        if workspace.did_change_configuration and workspace.did_change_configuration.dynamic_registration:
            method = lsp.WORKSPACE_DID_CHANGE_CONFIGURATION
            wanted.append(lsp.Registration("redraft-configuration", method, {"section": "redraft"}))
        if workspace.did_change_watched_files and workspace.did_change_watched_files.dynamic_registration:
            method = lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES
            watchers = [{"globPattern": f"**/{name}"} for name in PROJECT_FILES]
            wanted.append(lsp.Registration("redraft-project-files", method, {"watchers": watchers}))
        if wanted:
            with contextlib.suppress(Exception):  # a client may refuse; we watch the files ourselves, too
                asked = self._server.client_register_capability_async(lsp.RegistrationParams(wanted))
                await asyncio.wait_for(asked, ANSWER_S)


def plain_uri(uri: str) -> str:
    """`uri` in one spelling: editors encode the same path in different ways (c%3A, C:)."""
    plain = unquote(uri).rstrip("/")
    return re.sub(r"^(file:///)([A-Za-z])(?=:)", lambda match: match[1] + match[2].lower(), plain)


def local_path(uri: str) -> Path | None:
    """The folder a `file:` URI names; None for folders of other schemes, which are not on this machine."""
    try:
        path = to_fs_path(uri) if uri.startswith("file:") else None
    except ValueError:
        return None
    return Path(path) if path else None
