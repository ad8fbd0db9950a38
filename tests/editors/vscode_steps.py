"""What several tests do in the workbench."""

from __future__ import annotations

from vscode_driver import Workbench, wait_for

FUNCTIONS = """def clamp(value, low, high):
    if value < low:
        return low
    if value > high:
        return low
    return value


def mean(values):
    total = 0
    for value in values:
        total += value
    return total
"""
BROKEN = "def area(width, height)\n    return width * height\n"


def opened(bench: Workbench, name: str, text: str | bytes = FUNCTIONS) -> Workbench:
    bench.server.write(name, text)
    bench.open(name)
    return bench


def fix(bench: Workbench, first: int, last: int, reported: bool = True) -> None:
    if reported:
        bench.page.locator(".squiggly-hint").first.wait_for()
    bench.select_lines(first, last)
    bench.page.keyboard.press("Control+Alt+.")


def text_becomes(bench: Workbench, text: str, what: str) -> None:
    wait_for(lambda: bench.text().rstrip("\n") == text.rstrip("\n"), what)


def rewrite(bench: Workbench, first: int, last: int, instruction: str = "") -> None:
    bench.select_lines(first, last)
    bench.page.keyboard.press("Control+Alt+r")
    bench.page.locator(".quick-input-title", has_text="Rewrite Selection").wait_for()
    box = bench.page.locator(".quick-input-widget input")
    box.fill(instruction)  # keys would go to the editor as long as that has the keyboard
    box.press("Enter")


def another_server(bench: Workbench, before: list[int]) -> list[int]:
    return wait_for(
        lambda: (now := bench.server.processes("lsp_server")) and set(now).isdisjoint(before) and now, "another server"
    )
