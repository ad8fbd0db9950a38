"""Screenshots and an animated capture of VS Code with Redraft, into docs/images: `make screenshots`.

The real workbench (code-server in headless Chromium), the built extension, the real server and the embedded model, as
in tests/editors; the capture keeps the time that things took.
"""

from __future__ import annotations

import io
import sys
import time
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "editors"))
from vscode_driver import CodeServer, Workbench, chromium_browser, missing, wait_for, workbench  # noqa: E402

IMAGES = ROOT / "docs" / "images"
SIZE = (1000, 420)
THEMES = {"dark": "Default Dark Modern", "light": "Default Light Modern"}
COLOURS = 64
TOLD = "use sum"
CODE = """import math


def area(radius):
    return math.pi * radius ** 2


def total(shapes):
    result = 0
    for shape in shapes
        result += area(shape)
    return result
"""


def capture(browser: Browser, theme: str) -> None:
    """The denoising and the review of one fix in `theme`."""
    quiet = {
        "workbench.activityBar.location": "hidden",
        "workbench.statusBar.visible": True,
        "editor.fontSize": 15,
        "editor.scrollBeyondLastLine": False,
    }
    server = CodeServer(settings={"workbench.colorTheme": THEMES[theme], "breadcrumbs.enabled": False, **quiet})
    with workbench(server, browser, SIZE) as bench:
        server.write("shapes.py", CODE)
        bench.open("shapes.py")
        bench.page.keyboard.press("Control+b")
        bench.page.locator("[class*='squiggly-']").first.wait_for()
        bench.select_lines(8, 12)
        bench.page.keyboard.press("Control+Alt+r")
        bench.page.locator(".quick-input-title", has_text="Rewrite Selection").wait_for()
        bench.page.screenshot(path=IMAGES / f"vscode-prompt-{theme}.png")
        bench.page.keyboard.press("Enter")
        frames = filmed(bench)
        bench.page.screenshot(path=IMAGES / f"vscode-review-{theme}.png")
        if theme == "dark":
            animate(frames, IMAGES / "vscode-rewrite.gif")
            bench.lenses("Accept").first.click()
            bench.lenses("Accept").first.wait_for(state="hidden")
            bench.select_lines(8, 12)
            bench.page.keyboard.press("Control+Alt+r")
            bench.page.locator(".quick-input-title", has_text="Rewrite Selection").wait_for()
            animate(filmed(bench, TOLD), IMAGES / "vscode-told.gif")


def filmed(bench: Workbench, instruction: str = "") -> list[tuple[float, bytes]]:
    """The screen from the start of an edit, with the typing of its `instruction`, until a second after its review has
    begun, with the times."""
    frames: list[tuple[float, bytes]] = []
    for key in instruction:
        bench.page.keyboard.type(key)
        frames.append((time.monotonic(), bench.page.screenshot()))
    if instruction:
        time.sleep(1)  # one reads it again
        bench.page.keyboard.press("Enter")
    end = time.monotonic() + 60
    while time.monotonic() < end:
        frames.append((time.monotonic(), bench.page.screenshot()))
        if bench.lenses("Accept").count() and end - time.monotonic() > 1.5:
            end = time.monotonic() + 1.5
    wait_for(lambda: bench.lenses("Accept").count(), "a suggestion")
    return frames


def animate(frames: list[tuple[float, bytes]], path: Path) -> None:
    """A GIF of `frames`, which stays on the last for two seconds."""
    pictures = [
        Image.open(io.BytesIO(png)).convert("P", palette=Image.Palette.ADAPTIVE, colors=COLOURS) for _, png in frames
    ]
    times = [when for when, _ in frames]
    lasted = [int(1000 * (after - before)) for before, after in pairwise(times)] + [2000]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=lasted, loop=0, optimize=True)


def main() -> None:
    if reason := missing():
        sys.exit(reason)
    IMAGES.mkdir(exist_ok=True)
    with chromium_browser() as browser:
        for theme in THEMES:
            capture(browser, theme)


if __name__ == "__main__":
    main()
