"""Screenshots and an animated capture of Neovim with Redraft, into docs/images: `make screenshots`.

Neovim runs in a pseudo-terminal, with the real server and the embedded model; pyte keeps the screen that its escape
sequences draw, and Pillow paints the cells. Nothing is drawn that the terminal did not show, and the capture keeps
the time that things took.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from itertools import pairwise, product
from pathlib import Path

import matplotlib
import pyte
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COLUMNS, LINES = 88, 22
CELL_WIDTH, CELL_HEIGHT, MARGIN = 9, 18, 8  # pixels
DEFAULTS = {"dark": ("e0e2ea", "14161b"), "light": ("14161b", "e0e2ea")}  # Neovim's own text and ground
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FRAME_SECONDS = 0.04
KEYSTROKE_SECONDS = 0.06
STATUSLINE = "%f %m %=%{%v:lua.require'redraft'.statusline()%} "

Shown = tuple[list[list[pyte.screens.Char]], tuple[int, int] | None]  # the cells, and where the cursor is to be seen


class Terminal:
    """Neovim on a screen of its own, with a copy of every state while `recording`."""

    def __init__(self, folder: Path, file: str, ground: str) -> None:
        self.ground = ground
        self.screen = pyte.Screen(COLUMNS, LINES)
        self.frames: list[tuple[float, Shown]] = []
        self.recording = False
        self._stream = pyte.ByteStream(self.screen)
        self._fonts = {
            bold: ImageFont.truetype(FONTS / f"DejaVuSansMono{'-Bold' if bold else ''}.ttf", 15)
            for bold in (False, True)
        }
        options = {"cmd": [sys.executable, "-m", "lsp_server"], "settings": {"deadlineMs": 30000}}
        nvim = os.environ.get("REDRAFT_NVIM") or str(Path(sys.executable).with_name("nvim"))
        command = [nvim, "--clean", "-n", "--cmd", f"set rtp^={ROOT / 'editors' / 'nvim'} background={ground}"]
        command += ["-c", f"lua require('redraft').setup(vim.json.decode([==[{json.dumps(options)}]==]))"]
        command += ["-c", f'set termguicolors number noruler noshowcmd | let &statusline = "{STATUSLINE}"']
        command += ["-c", "lua vim.diagnostic.config({ virtual_text = true })", "-c", f"edit {file}"]
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder, env=environment, start_new_session=True
        )
        os.close(theirs)
        self._tty = ours

    def type(self, keys: str) -> None:
        """As a person would: one key after the other."""
        for key in keys:
            os.write(self._tty, key.encode())
            self.rest(KEYSTROKE_SECONDS)

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait(self, what: str, condition: Callable[[str], object], seconds: float = 120) -> None:
        end = time.monotonic() + seconds
        while not condition(self.text()):
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain: {what}\n{self.text()}")
            self.rest(FRAME_SECONDS)

    def rest(self, seconds: float) -> None:
        """Takes in what Neovim draws meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._tty], [], [], left)
            if ready:
                self._stream.feed(os.read(self._tty, 65536))
                if self.recording:
                    self.frames.append((time.monotonic(), self.shown()))

    def shown(self) -> Shown:
        """What the screen holds now."""
        cells = [[self.screen.buffer[row][column] for column in range(COLUMNS)] for row in range(LINES)]
        cursor = self.screen.cursor
        return cells, None if cursor.hidden else (cursor.y, cursor.x)

    def picture(self, shown: Shown) -> Image.Image:
        """The screen, cell by cell."""
        foreground, background = DEFAULTS[self.ground]
        size = (COLUMNS * CELL_WIDTH + 2 * MARGIN, LINES * CELL_HEIGHT + 2 * MARGIN)
        image = Image.new("RGB", size, f"#{background}")
        draw = ImageDraw.Draw(image)
        cells, cursor = shown
        for row, column in product(range(LINES), range(COLUMNS)):
            cell = cells[row][column]
            text = foreground if cell.fg == "default" else cell.fg
            ground = background if cell.bg == "default" else cell.bg
            if cell.reverse != (cursor == (row, column)):
                text, ground = ground, text
            x, y = MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT
            draw.rectangle((x, y, x + CELL_WIDTH - 1, y + CELL_HEIGHT - 1), fill=f"#{ground}")
            draw.text((x, y), cell.data, f"#{text}", font=self._fonts[cell.bold])
            if cell.underscore:
                draw.line((x, y + CELL_HEIGHT - 2, x + CELL_WIDTH - 1, y + CELL_HEIGHT - 2), fill=f"#{text}")
        return image

    def save(self, name: str) -> None:
        self.picture(self.shown()).quantize(64).save(IMAGES / f"{name}.png", optimize=True)

    def save_frames(self, name: str, last_seconds: float) -> None:
        """An animation that takes the time it took, but for frames that no eye would see; the last one stays for
        `last_seconds`."""
        frames = [
            (when, shown)
            for (when, shown), (end, _) in pairwise([*self.frames, (float("inf"), None)])
            if end - when > FRAME_SECONDS / 2
        ]
        times = [when for when, _ in frames]
        durations = [round(1000 * (after - before)) for before, after in pairwise(times)]
        durations.append(round(1000 * last_seconds))
        first, *others = (self.picture(shown).quantize(32) for _, shown in frames)
        first.save(IMAGES / f"{name}.gif", save_all=True, append_images=others, duration=durations, loop=0)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)
        os.close(self._tty)


SHOP = '''"""Stock levels of a small shop."""


class Stock:
    def __init__(self):
        self.items = {}

    def add(self, name, count=1):
        if name not in self.items
            self.items[name] = 0
        self.items[name] += count

    def total(self, prices):
        return sum(prices[name] * count for name, count in self.items.items())
'''


def rewrite(terminal: Terminal) -> None:
    """Selects four lines, one of them with a mistake, and asks for a rewrite."""
    terminal.type("8GVjjj")
    terminal.rest(0.5)
    terminal.type(":Redraft rewrite\r")
    terminal.wait("the prompt", lambda text: "Enter: go" in text)
    terminal.rest(0.5)


def scene(ground: str, folder: Path) -> None:
    """The mistake reported, the prompt, the denoising, the review, and accepting it."""
    (folder / "stock.py").write_text(SHOP)
    terminal = Terminal(folder, "stock.py", ground)
    try:
        terminal.wait("the mistake is reported", lambda text: "expected" in text)
        terminal.recording = ground == "dark"
        terminal.rest(1)
        rewrite(terminal)
        terminal.save(f"nvim-prompt-{ground}")
        terminal.type("\r")
        terminal.wait("masks", lambda text: "░" in text)
        terminal.save(f"nvim-denoising-{ground}")
        terminal.wait("the review", lambda text: "change 1 of" in text)
        terminal.rest(1.5)
        terminal.save(f"nvim-review-{ground}")
        terminal.type(":Redraft accept all\r")
        terminal.wait("the end of the review", lambda text: "change 1 of" not in text)
        terminal.rest(1)
        if terminal.recording:
            terminal.save_frames("nvim-rewrite", last_seconds=3)
    finally:
        terminal.close()


def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for ground in DEFAULTS:
            scene(ground, Path(folder))
    for file in sorted(IMAGES.glob("nvim-*")):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
