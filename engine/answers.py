"""Answers of the writer that depart from a copy of the code.

An answer is mostly a copy. So the likeliest answers depart from the copy at one place and go on as is likeliest then:
one pass over the copy tells how likely every departure is, and the likeliest are finished, best first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator
from dataclasses import dataclass
from itertools import count
from operator import attrgetter

import torch
from torch import Tensor

from engine.lookup import read_along
from engine.models.vocabulary import BOS, MASK
from engine.regions import Region
from engine.told import FENCE, Told
from engine.unbound import WORD, left_unbound
from engine.work import Answers, Query, Work
from engine.writing import UNBOUND, Draft

DEPARTURES, TOGETHER = 16, 4  # that are looked at, and that are taken on in one pass
ROOM = 1200  # tokens of those, so that what was read of them is kept
PASSES = 48  # after which the answers found so far will do
LONGER = 40  # tokens that an answer may have more than the code
UNHEARD = 5.0  # nats that it costs not to use a name, or a number, of the instruction that is new
NAME = re.compile(r"\b(?:\w*_\w*|\w+[A-Z]\w*|\w+(?=[.(]\w)|\d+\b)")  # in an instruction: what is code and no word
ABOUT_DEFINITIONS = re.compile(
    r"(?i)\b(?:remove|delete|drop|leave out|get rid|merge|combine|inline|only|replace|(?:re)?names?|call it)\b"
)
DEFINED = re.compile(r"\b(?:def|class|function|func|fn|struct|interface|enum|trait) +(\w+)")


@dataclass(slots=True)
class Copy:
    """What the writer makes of the code as an answer. `ids` of it and of the fence behind; `likely` [ids, 1]: their
    log-probabilities; `departing` [ids, vocabulary]: those of every first departure."""

    ids: list[int]
    likely: Tensor
    departing: Tensor


@dataclass(frozen=True, slots=True)
class Answer:
    """`text` without its last line end; `likely`: log-probability of its `length` tokens, nats; `cost`: nats for what
    it breaks that nobody wanted broken."""

    text: str
    likely: float
    length: int
    cost: float

    @property
    def worth(self) -> float:
        return self.likely - self.cost


def read_copy(work: Work, told: Told, region: Region) -> Generator[Query, Answers, Copy]:
    """`work`: the writer's on the code, in the context of what was asked."""
    work.shown = told.text(told.code.rstrip("\n"), region)
    ids = work.denoiser.vocabulary.encode(told.code + FENCE)
    # With a mask behind it, what is read of the copy is kept, and answers go on from there.
    (logits,) = yield from work.ask([(BOS, *ids, MASK)], limit=8, rows=[tuple(range(1, len(ids) + 1))])
    actual = torch.tensor(ids)[:, None]
    likely = logits.tokens.gather(1, actual)
    return Copy(ids, likely, (likely.cumsum(0) - likely + logits.tokens).scatter(1, actual, -torch.inf))


def departures(
    work: Work, told: Told, copy: Copy, region: Region, wanted: int
) -> Generator[Query, Answers, list[Answer]]:
    """The best answers other than the code as it is, which is that of `region`, the best first. Of the likeliest
    departures those are taken on that are likeliest so far, until the `wanted` answers are better than what is left can
    become."""
    most = len(copy.ids) + LONGER
    together = max(1, min(TOGETHER, ROOM // most))
    price, drafts = Price(told, region), started(work, copy)
    copied, found, answers = told.code.rstrip("\n"), dict[str, Answer](), list[Answer]()
    for passes in count():
        for draft in filter(attrgetter("ended"), drafts):
            text = work.text(draft.ids).partition(FENCE)[0].rstrip("\n")
            if text != copied and text not in found:  # some texts are to be had in two spellings
                found[text] = Answer(text, draft.likely, len(draft.ids), price.of(text))
        answers = sorted((one for one in found.values() if one.worth > -math.inf), key=lambda one: -one.worth)
        least = answers[wanted - 1].worth if len(answers) >= wanted else -math.inf
        drafts = [draft for draft in drafts if not draft.ended and draft.likely > least and len(draft.ids) < most]
        if not drafts or work.late or (passes >= PASSES and found):
            break
        drafts.sort(key=lambda draft: -draft.likely)
        work.shown = told.text(answers[0].text if answers else work.text([*drafts[0].ids, MASK]), region)
        yield from read_along(work, drafts[:together], most, FENCE, lambda draft: not price.lost(work.text(draft.ids)))
    return answers


def started(work: Work, copy: Copy) -> list[Draft]:
    """The copy up to its likeliest departures, these included, the likeliest first."""
    best = copy.departing.flatten().topk(DEPARTURES)
    drafts: list[Draft] = []
    for place, nats in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        at, token = divmod(place, copy.departing.shape[1])
        drafts.append(Draft("", True, [*copy.ids[:at], token], nats, ended=FENCE in work.text([token])))
    return drafts


class Price:
    """What an answer costs. To leave out everything, or a definition, is no answer unless the instruction speaks of
    such a thing; a name that nobody binds costs, and so does a new name of the instruction that is not used."""

    def __init__(self, told: Told, region: Region) -> None:
        self.told, self.region = told, region
        self.unbound = self.left_unbound(told.code.rstrip("\n"))
        free = ABOUT_DEFINITIONS.search(told.instruction)
        self.stay = set[str]() if free else set(DEFINED.findall(told.code)).difference(WORD.findall(told.instruction))
        self.names = set(NAME.findall(told.instruction))
        self.new = self.names.difference(WORD.findall(told.code))

    def left_unbound(self, answer: str) -> set[str]:
        return left_unbound(self.region, self.told.text(answer, self.region), self.told.language)

    def lost(self, answer: str) -> bool:
        """Whether a definition is left out that should have stayed, or everything."""
        return not answer.strip() or not self.stay.issubset(DEFINED.findall(answer))

    def of(self, answer: str) -> float:
        if self.lost(answer):
            return math.inf
        unbound = self.left_unbound(answer) - self.unbound - self.names
        return UNBOUND * len(unbound) + UNHEARD * len(self.new.difference(WORD.findall(answer)))
