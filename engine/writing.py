"""New text for a hole, by a denoiser that fills masks in order: drawn line by line, then ranked by how likely it makes
what stands below the hole, which its author has not seen."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor

from engine.diffusion.mending import indent_of
from engine.diffusion.search import Child
from engine.models.denoiser import Denoiser
from engine.models.vocabulary import BOS, MASK, Vocabulary
from engine.regions import line_above
from engine.work import Answers, Block, Query, Work

DRAWN = 8  # lines at once, the likeliest among them
TEMPERATURE = 0.6  # of the others
LINE_TOKENS = 48
STEM = re.compile(r"(?:\n\s*| ?\w+| +|\S)$")
BELOW_CHARS = 100  # of what stands below, to be made likely
LINES = 8
PATIENCE = 8  # tokens that the last quarter of the drafts may take longer than the others
GONE_ON_WITH = 3  # beginnings of longer texts
CUTS = 3  # places where a drawn line may run into the rest of its line
FITTING = -1.5  # nats a token: what stands below follows well enough for no line to be missing


@dataclass(slots=True)
class Draft:
    """A text for the hole so far. `stem`: what it has still to begin with; `ids`: its tokens, the stem's among them;
    `likely`: their log-probability, nats; `surest`: it takes the likeliest tokens, others are drawn."""

    stem: str
    surest: bool
    ids: list[int] = field(default_factory=list[int])
    likely: float = 0.0
    ended: bool = False

    def take(self, token: int, text: str, likely: float, end: str = "\n") -> None:
        """A token with `end`, behind the stem, ends it and is not taken."""
        self.ended = not self.stem and end in text
        if not self.ended:
            self.ids.append(token)
            self.likely += likely
            self.stem = self.stem[len(text) :]


@dataclass(slots=True)
class Written:
    """`likely`: log-probability of the text and of what stands below, nats; `fit`: of the latter, a token."""

    text: str
    draft: Draft
    likely: float
    fit: float


def write_block(work: Work) -> Block:
    """Texts for the whole span, best first: of one line and, while what stands below does not follow well, of more."""
    take_stem(work)
    drafts = [Draft(work.stem, i == 0) for i in range(DRAWN)]
    found: dict[str, Written] = {}
    for _ in range(LINES):
        drafts = yield from written_on(work, drafts)
        fresh = yield from judged(work, drafts, found)
        best = max(found.values(), key=lambda one: one.likely, default=None)
        if best is None or best not in fresh or best.fit >= FITTING or work.late or not work.region.head:
            break
        fresh.sort(key=lambda one: -one.likely)
        begun = [one.draft for one in fresh[:GONE_ON_WITH]]
        drafts = [
            Draft(work.stem, draft is begun[0] and i == 0, list(draft.ids), draft.likely)
            for draft in begun
            for i in range(DRAWN // GONE_ON_WITH)
        ]
    encode = work.denoiser.vocabulary.encode
    children: list[Child] = []
    for one in sorted(found.values(), key=lambda one: -one.likely):
        canvas = [BOS, *encode(one.text)]
        children.append(Child(one.likely / len(canvas), canvas))
    return children


def take_stem(work: Work) -> None:
    """What the text must begin with: the newline of whole lines; else the word or the indentation that the hole is
    right behind, which leaves the context, because the vocabulary may have it and what follows as one token."""
    prefix, encode = work.context.prefix, work.denoiser.vocabulary.encode
    if not work.region.head:
        before = work.text(prefix)
        found = STEM.search(before)
        work.stem = found.group() if found and found.group().isascii() else ""  # others are parts of letters
        prefix = tuple(encode(before.removesuffix(work.stem)))
    elif work.request.instruction:
        said = f"\n{indent_of(line_above(work.region.prefix))}# {' '.join(work.request.instruction.split())}"
        prefix = (*prefix, *encode(said))[-work.denoiser.max_prefix :]
    work.context = replace(work.context, prefix=prefix)


def allowed(denoiser: Denoiser, stem: str) -> Tensor:
    """[vocabulary]: 0 at tokens that begin with `stem`, or that it begins with; else -infinity."""
    texts = token_texts(denoiser.vocabulary)
    fitting = [bool(text) and (text.startswith(stem) or stem.startswith(text)) for text in texts]
    return torch.zeros(len(texts)).masked_fill(~torch.tensor(fitting), -torch.inf)


@cache
def token_texts(vocabulary: Vocabulary) -> list[str]:
    """What each token of the vocabulary stands for."""
    return [vocabulary.decode([token]) for token in range(vocabulary.size)]


def written_on(
    work: Work, drafts: list[Draft], end: str = "\n", most: int = LINE_TOKENS
) -> Generator[Query, Answers, list[Draft]]:
    """The drafts up to their next `end`, without those that came to none within `most` tokens."""
    generator = torch.Generator().manual_seed(work.rng.getrandbits(63))
    fitting: dict[str, Tensor] = {}
    patience = PATIENCE
    for _ in range(most):
        active = [draft for draft in drafts if not draft.ended]
        patience -= len(active) <= len(drafts) // 4
        if not active or not patience or work.late:
            break
        canvases = [(BOS, *draft.ids, MASK) for draft in active]
        distinct = list(dict.fromkeys(canvases))
        answers = yield from work.ask(distinct, limit=most, masks_only=True)
        rows = {canvas: answer.tokens[0] for canvas, answer in zip(distinct, answers, strict=True)}
        for draft, canvas in zip(active, canvases, strict=True):
            row = rows[canvas]
            if draft.stem and draft.stem not in fitting:
                fitting[draft.stem] = allowed(work.denoiser, draft.stem)
            possible = row + fitting[draft.stem] if draft.stem else row
            token = drawn(possible, 0.0 if draft.surest else TEMPERATURE, generator)
            draft.take(token, work.text([token]), float(row[token]), end)
    return [draft for draft in drafts if draft.ended]


def drawn(row: Tensor, temperature: float, generator: torch.Generator) -> int:
    if not temperature:
        return int(row.argmax())
    return int(torch.multinomial((row / temperature).softmax(-1), 1, generator=generator))


def judged(work: Work, drafts: Sequence[Draft], found: dict[str, Written]) -> Generator[Query, Answers, list[Written]]:
    """What `drafts` say that is not yet `found`, and is then."""
    encode = work.denoiser.vocabulary.encode
    below = work.region.suffix[:BELOW_CHARS]
    length = max(1, len(encode(below)))
    texts = {text: draft for draft in drafts for text in ends(work, draft) if text not in found}
    stem = "" if work.region.head else work.stem
    canvases = {text: (BOS, *encode(stem + text + below)) for text in texts}
    yield from work.score([canvas for canvas in canvases.values() if len(canvas) <= work.denoiser.max_canvas])
    for text, canvas in canvases.items():
        if canvas in work.scores or work.late:
            likely = work.likelihood(canvas) if canvas in work.scores else texts[text].likely
            found[text] = Written(text, texts[text], likely, (likely - texts[text].likely) / length)
    return [found[text] for text in texts if text in found]


def ends(work: Work, draft: Draft) -> Iterator[str]:
    """What the draft may mean: all of it and, with something right of the hole, also what stands before that."""
    text = work.text(draft.ids)
    if work.region.head:
        yield text
        return
    text = text.removeprefix(work.stem)
    right = work.region.suffix.split("\n", 1)[0].strip()
    cuts = [i for i, letter in enumerate(text) if letter == right[:1]]
    for cut in cuts[-CUTS:]:
        yield text[:cut]
    if not right or not text.endswith(right):
        yield text
