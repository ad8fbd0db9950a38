"""Per-position targets from a Levenshtein alignment over tokens, and their application.

A target says of each noisy position: keep, replace by a token, or <del>; and how many tokens are
missing right after it. Position 0 is always <bos>. Seed Diffusion (arXiv 2508.02193), section 3.1,
measures edit corruption by this distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rapidfuzz.distance import Levenshtein

from engine.models.vocabulary import BOS, DEL, MASK


@dataclass(slots=True)
class Targets:
    """Over a noisy canvas of n positions, <bos> included: `tokens` [n] (the clean token, or <del>) and
    `inserts` [n] (how many are missing right after); `missing` [n] holds those tokens themselves."""

    tokens: list[int] = field(default_factory=lambda: [BOS])
    inserts: list[int] = field(default_factory=lambda: [0])
    missing: list[list[int]] = field(default_factory=lambda: [[]])

    def keep(self, token: int) -> None:
        """The next noisy position becomes `token` (the same one, another one, or <del>)."""
        self.tokens.append(token)
        self.inserts.append(0)
        self.missing.append([])

    def insert(self, tokens: Sequence[int]) -> None:
        """`tokens` are missing after the last position so far."""
        self.inserts[-1] += len(tokens)
        self.missing[-1].extend(tokens)


def align(noisy: Sequence[int], clean: Sequence[int], targets: Targets | None = None) -> Targets:
    """Targets that turn `noisy` into `clean` (neither with <bos>), appended to `targets`."""
    targets = targets or Targets()
    for op in Levenshtein.opcodes(noisy, clean):
        if op.tag == "insert":
            targets.insert(clean[op.dest_start : op.dest_end])
        elif op.tag == "delete":
            for _ in range(op.src_start, op.src_end):
                targets.keep(DEL)
        else:  # equal, replace
            for token in clean[op.dest_start : op.dest_end]:
                targets.keep(token)
    return targets


def align_masks(count: int, clean: Sequence[int], targets: Targets) -> None:
    """Targets for a run of `count` masks that stands for `clean`: filled in order, excess ones deleted
    at the end, missing ones inserted at the end. Levenshtein leaves this order open."""
    for token in clean[:count]:
        targets.keep(token)
    for _ in range(count - len(clean)):
        targets.keep(DEL)
    targets.insert(clean[count:])


def apply(targets: Targets) -> list[int]:
    """The clean tokens, without <bos>."""
    clean: list[int] = []
    for position, token in enumerate(targets.tokens):
        if position and token != DEL:
            clean.append(token)
        clean.extend(targets.missing[position])
    return clean


def apply_in_part(
    noisy: Sequence[int], targets: Targets, decide: Sequence[float], apply_share: float
) -> tuple[list[int], Targets]:
    """A state between `noisy` (with <bos>) and clean, of the kind the reverse process walks through.

    `decide[i]` in [0, 1): below `apply_share / 2` the edits at position i have been carried out,
    below `apply_share` they stand as masks, else they are still to be found."""
    state: list[int] = []
    rest = Targets([], [], [])
    for i, token in enumerate(noisy):
        target, missing, choice = targets.tokens[i], targets.missing[i], decide[i]
        done, masked = choice < apply_share / 2, choice < apply_share
        if not (masked and target == DEL and i):
            shown = target if done or target == token else MASK if masked else token
            state.append(shown)
            rest.keep(target)
        if not masked:
            rest.insert(missing)
            continue
        for absent in missing:
            state.append(absent if done else MASK)
            rest.keep(absent)
    return state, rest
