"""What instructed models are told, and how their answers become the text of a hole."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from engine.messages import Intent

NEAR = 6000  # characters of context on either side
FENCE = re.compile(r"^[ \t]*```[\w+-]*\n(.*?)\n?[ \t]*```[ \t]*$", re.S | re.M)
SYSTEM = (
    "You edit code in place. The user shows a file with a region between <region> and </region>. "
    "Answer with the new content of the region alone: no explanation, no code fence, no text outside the region. "
    "Keep its indentation and style, and change nothing that need not change."
)
TASKS: dict[Intent, str] = {
    "fix": "Fix what is wrong in the region.",
    "rewrite": "Improve the region.",
    "fill": "Write the region.",
}


@dataclass(frozen=True, slots=True)
class Hole:
    """A region as the user sees it, with "\\n" line endings, and what is wanted of it."""

    intent: Intent
    prefix: str
    span: str
    suffix: str
    language: str
    path: str | None
    instruction: str | None


def task(hole: Hole) -> str:
    if not hole.instruction:
        return TASKS[hole.intent]
    return hole.instruction if hole.intent != "fix" else f"{TASKS['fix']} {hole.instruction}"


def chat_messages(hole: Hole) -> list[dict[str, str]]:
    """The chat of an instructed rewrite, for any OpenAI-compatible server."""
    content = (
        f"Task: {task(hole)}\nLanguage: {hole.language}\n\n"
        f"{hole.prefix[-NEAR:]}<region>{hole.span}</region>{hole.suffix[:NEAR]}"
    )
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def mercury_edit(hole: Hole) -> str:
    """The message of Mercury's /v1/edit/completions (docs.inceptionlabs.ai, "Next Edit"): tags around the
    viewed snippets, the file with the code to edit, and the edit history, where the instruction goes."""
    history = f"# {task(hole)}\n"
    return (
        "<|recently_viewed_code_snippets|>\n\n<|/recently_viewed_code_snippets|>\n"
        f"<|current_file_content|>\ncurrent_file_path: {hole.path or 'file'}\n{hole.prefix[-NEAR:]}"
        f"<|code_to_edit|>\n{hole.span}<|cursor|>\n<|/code_to_edit|>\n{hole.suffix[:NEAR]}<|/current_file_content|>\n"
        f"<|edit_diff_history|>\n{history}<|/edit_diff_history|>"
    )


def mercury_fill(hole: Hole) -> dict[str, str]:
    """Of Mercury's /v1/fim/completions: what stands around the hole. An instruction has no place in it."""
    return {"prompt": hole.prefix[-NEAR:], "suffix": hole.suffix[:NEAR]}


def answer_text(answer: str, span: str) -> str:
    """The region's new text: no tags, `span`'s indentation and ending, and of an answer with a fence that `span`
    lacks what is in it: weak models explain themselves, whatever they are told."""
    fenced = None if "```" in span else FENCE.search(answer)
    text = fenced.group(1) if fenced else answer
    for tag in ("<region>", "</region>", "<|code_to_edit|>", "<|/code_to_edit|>", "<|cursor|>"):
        text = text.replace(tag, "")
    text = text.strip("\n") if span.strip("\n") else text
    wanted = indentation(span)
    if text.strip() and wanted is not None and indentation(text) != wanted:
        first, _, rest = text.partition("\n")
        # Models that drop the first line's indentation often keep that of the others.
        if first == first.lstrip() and wanted and lost_only_first(first, indentation(rest) or "", wanted):
            text = f"{wanted}{first}\n{rest}"
        else:
            text = textwrap.indent(textwrap.dedent(text), wanted)
    return text + "\n" * (len(span) - len(span.rstrip("\n")))


def lost_only_first(first: str, rest: str, wanted: str) -> bool:
    """Whether lines indented by `rest` after an unindented `first` stand where they belong: deeper than
    `wanted`, or just there when `first` opens no block."""
    return rest.startswith(wanted) and (rest != wanted or not first.rstrip().endswith((":", "{", "(", "[")))


def indentation(text: str) -> str | None:
    """The common indentation of the lines that are not blank, None when there are none."""
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return None
    indents = [line[: len(line) - len(line.lstrip(" \t"))] for line in lines]
    return min(indents, key=len)
