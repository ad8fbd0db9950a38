"""What is likely to be typed next, while somebody types: the likeliest line behind the cursor."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from engine.diffusion.search import Child
from engine.lookup import read_along
from engine.models.vocabulary import BOS
from engine.work import Answers, Block, Query, Work
from engine.writing import BELOW_CHARS, LINE_TOKENS, Draft, take_stem

NEAR_BELOW = 250  # characters below, where lines are looked up, too
# Nats of a line that is worth showing; what it costs and saves is in docs/speed.md.
LEAST = -3.0
CUTS = 3  # places where the line may run into what stands right of the cursor


def complete_line(work: Work) -> Block:
    """The likeliest line, or with something right of the cursor what of it may be meant, the likeliest first; nothing
    when the denoiser is not sure enough of it."""
    take_stem(work)
    encode = work.denoiser.vocabulary.encode
    draft, below = Draft(work.stem, surest=True), encode(work.region.suffix[:NEAR_BELOW])
    while not draft.ended and draft.likely >= LEAST and len(draft.ids) < LINE_TOKENS and not work.late:
        yield from read_along(work, [draft], LINE_TOKENS, below=below)
    texts = list(ends(work, draft)) if draft.ended and draft.likely >= LEAST else []
    if len(texts) > 1:
        texts = yield from judged(work, texts)
    return [Child(draft.likely / max(1, len(draft.ids)), [BOS, *encode(text)]) for text in texts]


def ends(work: Work, draft: Draft) -> Iterator[str]:
    """What the draft may mean: all of it and, with something right of the cursor, also what stands before that."""
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


def judged(work: Work, texts: Sequence[str]) -> Generator[Query, Answers, list[str]]:
    """`texts`, the one first that makes what stands below likeliest; as they are when nobody had time for them."""
    encode, stem = work.denoiser.vocabulary.encode, "" if work.region.head else work.stem
    canvases = {text: (BOS, *encode(stem + text + work.region.suffix[:BELOW_CHARS])) for text in texts}
    yield from work.score([canvas for canvas in canvases.values() if len(canvas) <= work.denoiser.max_canvas])
    known = [text for text, canvas in canvases.items() if canvas in work.scores]
    return sorted(known, key=lambda text: -work.likelihood(canvases[text])) or list(texts)
