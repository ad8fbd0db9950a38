"""The arrows between the packages go one way."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def imported_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_server_never_imports_torch() -> None:
    assert not {"torch", "transformers"} & imported_by("lsp_server.features")


def test_the_client_and_messages_are_light() -> None:
    assert not {"torch", "transformers", "pygls"} & imported_by("engine.service.client, engine.cli")


def test_serving_never_imports_transformers() -> None:
    assert "transformers" not in imported_by("engine.service.scheduler, engine.models.loading")


def test_the_engine_knows_no_lsp() -> None:
    for path in (ROOT / "engine").rglob("*.py"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words[:1] in (["import"], ["from"]):
                assert words[1].split(".")[0] not in ("pygls", "lsprotocol", "lsp_server"), path
