"""New text for a hole, by a denoiser that fills masks in order and has what stands below the hole in view: several
drafts at once, ranked by how likely they are, their end included."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from functools import cache

import torch
from torch import Tensor

from engine.diffusion.mending import indent_of
from engine.diffusion.search import Child
from engine.models.denoiser import Denoiser
from engine.models.vocabulary import BOS, MASK, Vocabulary
from engine.models.writer import Writer
from engine.regions import line_above
from engine.unbound import WORD, left_unbound
from engine.work import Answers, Block, Query, Work

FEWEST = 4  # texts that are looked for
BINDING, MOST_BOUND = 4, 2  # drafts that bind a name, and names
UNBOUND = 5.0  # nats that a name left unbound costs
DRAWN = 8  # texts at once, the likeliest among them
TEMPERATURE = 0.6  # of the others
LINE_TOKENS = 48
STEM = re.compile(r"(?:\n\s*| ?\w+| +|\S)$")
HOLE_TOKENS = 100  # longer texts it was not trained on
BELOW_CHARS = 100  # of what stands below, to be made likely by a text whose author has not seen it


@dataclass(slots=True)
class Draft:
    """A text for the hole so far. `stem`: what it has still to begin with; `ids`: its tokens, the stem's among them;
    `likely`: their log-probability, nats; `surest`: it takes the likeliest tokens, others are drawn;
    `trust`: how much further is read along than at first (`engine.lookup`)."""

    stem: str
    surest: bool
    ids: list[int] = field(default_factory=list[int])
    likely: float = 0.0
    ended: bool = False
    trust: int = 1

    def take(self, token: int, text: str, likely: float, end: str = "\n") -> None:
        """A token with `end`, behind the stem, ends it and is not taken."""
        self.ended = not self.stem and end in text
        if not self.ended:
            self.ids.append(token)
            self.likely += likely
            self.stem = self.stem[len(text) :]


@dataclass(slots=True)
class Endings:
    """Where drafts for a hole may end. `close`: the token that ends a text; `whole`: of whole lines, which end
    before a newline or where nothing is likelier than `close`; `wanted`: texts; `found`: log-probability of each, its
    end included, nats."""

    close: int
    whole: bool
    wanted: int
    found: dict[tuple[int, ...], float] = field(default_factory=dict[tuple[int, ...], float])

    def possible(self, row: Tensor, draft: Draft) -> Tensor:
        """`row`, without the end where there cannot be one."""
        if not draft.stem and (not self.whole or int(row.argmax()) == self.close):
            return row
        return row.index_fill(0, torch.tensor(self.close), -torch.inf)

    def note(self, draft: Draft, row: Tensor, token: int, text: str) -> None:
        """`token`, of `text`, was drawn from `row` to follow the draft."""
        if not draft.stem and (not self.whole or token == self.close or "\n" in text):
            self.found[tuple(draft.ids)] = draft.likely + float(row[self.close])

    @property
    def least(self) -> float:
        """A draft that is less likely than this comes to none of the texts that are wanted."""
        best = sorted(self.found.values(), reverse=True)
        return best[self.wanted - 1] if len(best) >= self.wanted else -torch.inf


def write_block(work: Work) -> Block:
    """Texts for the whole span, best first."""
    assert isinstance(work.denoiser, Writer)
    take_stem(work)
    close, whole = work.denoiser.turn_ends[1], bool(work.region.head)
    endings = Endings(close, whole, max(FEWEST, work.request.candidates))
    most = HOLE_TOKENS if whole else LINE_TOKENS
    drafts = [Draft(work.stem, i == 0) for i in range(DRAWN)]
    yield from written_on(work, drafts, most, endings)
    texts = ranked(work, endings)
    if texts and whole and (stems := binding_stems(work, texts[0][0])):
        drafts = [Draft(stem, i == 0) for stem in stems for i in range(BINDING)]
        binding = Endings(close, whole, len(drafts))
        yield from written_on(work, drafts, most, binding)
        endings.found |= binding.found
        texts = ranked(work, endings)
    canvases = [(likely, [BOS, *work.denoiser.vocabulary.encode(text)]) for text, likely in texts]
    return [Child(likely / len(canvas), canvas) for likely, canvas in canvases]


def ranked(work: Work, endings: Endings) -> list[tuple[str, float]]:
    """What was written, with its log-probability, the likeliest first; a name that it leaves unbound counts against
    it, and what does not parse is left out where anything does."""
    texts: dict[str, float] = {}
    for ids, likely in sorted(endings.found.items(), key=lambda one: -one[1]):
        text = work.text(ids)
        text = text.rstrip() if endings.whole else text.removeprefix(work.stem)
        if text.strip():
            texts.setdefault(text, likely)
    judge = work.judge
    sound = {text: likely for text, likely in texts.items() if judge and judge.fault(text) is None} or texts
    return sorted(sound.items(), key=lambda one: UNBOUND * len(missing(work, one[0])) - one[1])


def missing(work: Work, text: str) -> set[str]:
    """Names that nobody binds with `text` in the hole."""
    return left_unbound(work.region, text, work.request.language)


def binding_stems(work: Work, text: str) -> list[str]:
    """How a text begins that binds a name, for the few names that `text` leaves unbound and only what stands below
    uses."""
    names = missing(work, text)
    if names:
        names = names.intersection(WORD.findall(work.region.suffix)).difference(WORD.findall(work.region.prefix))
    indent = indent_of(next((line for line in work.region.suffix.split("\n") if line.strip()), ""))
    return [f"\n{indent}{name} =" for name in sorted(names)] if len(names) <= MOST_BOUND else []


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


def written_on(work: Work, drafts: list[Draft], most: int, endings: Endings) -> Generator[Query, Answers, None]:
    """Takes the drafts on up to their ends, which `endings` notes, or to `most` tokens, as long as they can come to one
    of the texts that are wanted."""
    generator = torch.Generator().manual_seed(work.rng.getrandbits(63))
    fitting: dict[str, Tensor] = {}
    end = work.text([endings.close])
    for _ in range(most):
        least = endings.least
        active = [draft for draft in drafts if not draft.ended and draft.likely >= least]
        if not active or work.late:
            break
        canvases = [(BOS, *draft.ids, MASK) for draft in active]
        distinct = list(dict.fromkeys(canvases))
        answers = yield from work.ask(distinct, limit=most, masks_only=True)
        rows = {canvas: answer.tokens[0] for canvas, answer in zip(distinct, answers, strict=True)}
        for draft, canvas in zip(active, canvases, strict=True):
            row = rows[canvas]
            if draft.stem and draft.stem not in fitting:
                fitting[draft.stem] = allowed(work.denoiser, draft.stem)
            possible = endings.possible(row, draft)
            if draft.stem:
                possible = possible + fitting[draft.stem]
            token = drawn(possible, 0.0 if draft.surest else TEMPERATURE, generator)
            text = work.text([token])
            endings.note(draft, row, token, text)
            draft.take(token, text, float(row[token]), end)


def drawn(row: Tensor, temperature: float, generator: torch.Generator) -> int:
    if not temperature:
        return int(row.argmax())
    return int(torch.multinomial((row / temperature).softmax(-1), 1, generator=generator))
