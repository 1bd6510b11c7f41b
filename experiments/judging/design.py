"""Which pictures a participant sees, and how trials are balanced. Pure functions.

A trial shows pictures by their numbers. Trials lie in blocks, in each of which all
models are equally frequent; the page shuffles blocks, and trials within them, for each
participant anew. Blocks lie in parts, which are shown one after another: one part, or
in a staircase one of each model.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

CHOICE, SINGLE, STAIRCASE = "choice", "single", "staircase"
# {task: (trials of each model, seconds that they are shown; 0: as long as one likes)}
TASKS = {CHOICE: (50, 1.0), SINGLE: (50, 0.0), STAIRCASE: (150, 0.0)}
REAL, CATCH = "real", "catch"
_CODES = {REAL: 0, CATCH: 2}  # 1 is a model's picture

Trial = list[int]


@dataclasses.dataclass(frozen=True)
class Design:
    """The trials of a study.

    Attributes:
      task: one of TASKS.
      pictures: where each comes from: "real", "catch", or a model's name.
      parts: of blocks of trials; a trial is the number of a picture, or of two, as they
        stand side by side.
      models: of each part, in a staircase; else ().
      seconds: that pictures are shown; 0: as long as one likes.
    """

    task: str
    pictures: tuple[str, ...]
    parts: tuple[tuple[tuple[Trial, ...], ...], ...]
    models: tuple[str, ...]
    seconds: float

    @property
    def n_trials(self) -> int:
        """How many trials a participant sees."""
        return sum(len(block) for part in self.parts for block in part)

    def as_json(self) -> dict[str, Any]:
        """Returns its attributes as JSON has them."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def of_json(cls, found: dict[str, Any]) -> Design:
        """Returns the design whose `as_json` it was."""
        parts = tuple(tuple(tuple(block) for block in part) for part in found["parts"])
        return cls(
            found["task"],
            tuple(found["pictures"]),
            parts,
            tuple(found["models"]),
            found["seconds"],
        )


def counts(task: str, n_models: int, trials: int, catches: int) -> dict[str, int]:
    """Returns how many pictures are needed: {"real", "fake" of each model, "catch"}.

    Each picture is shown once. Raises ValueError for an odd number of trials of a
    staircase, half of which are real.
    """
    if task == STAIRCASE:
        if trials % 2:
            raise ValueError(f"--trials={trials}: half of a staircase's are real")
        half, catches = trials // 2, catches * n_models
        return {REAL: half * n_models, "fake": half, CATCH: catches}
    partners = catches if task == CHOICE else 0
    return {REAL: trials * n_models + partners, "fake": trials, CATCH: catches}


def make(
    task: str,
    models: Sequence[str],
    *,
    trials: int,
    catches: int,
    seconds: float,
    seed: int,
) -> Design:
    """Returns the trials of a study; pictures are numbered at random.

    Args:
      task: "choice": two side by side, which is real? "single": real or generated?
        "staircase": the same, in less and less time.
      trials: of each model: pairs; generated pictures, beside as many real ones; or
        pictures of a staircase, half of them real.
      catches: trials that show noise, which only inattention takes for real; of a
        staircase in each part.
    """
    rng = np.random.default_rng(seed)
    needed = counts(task, len(models), trials, catches)
    pictures = [REAL] * needed[REAL] + [CATCH] * needed[CATCH]
    pictures += [model for model in models for _ in range(needed["fake"])]
    pictures = [pictures[i] for i in rng.permutation(len(pictures))]
    left: dict[str, list[int]] = {}
    for i, source in enumerate(pictures):
        left.setdefault(source, []).append(i)

    def take(*sources):
        return [left[source].pop() for source in sources]

    if task == STAIRCASE:
        parts = []
        for model in models:
            shown = trials // 2 * [model, REAL] + catches * [CATCH]
            parts.append((tuple(take(source) for source in shown),))
        return Design(task, tuple(pictures), tuple(parts), tuple(models), seconds)
    blocks: list[list[Trial]] = [[] for _ in range(trials)]
    # Half of a model's pictures stand on the left.
    sides = {model: rng.permutation(np.arange(trials) % 2) for model in models}
    for i, block in enumerate(blocks):
        for model in models:
            if task == CHOICE:
                block.append(take(*[model, REAL][:: 1 - 2 * int(sides[model][i])]))
            else:
                block += [take(model), take(REAL)]
    for i in range(catches):
        block = blocks[int((i + 0.5) * trials / catches)]
        pair = take(CATCH, REAL)[:: 1 - 2 * (i % 2)] if task == CHOICE else take(CATCH)
        block.append(pair)
    parts = (tuple(tuple(block) for block in blocks),)
    return Design(task, tuple(pictures), parts, (), seconds)


def name(design: Design, pictures: Sequence[bytes]) -> str:
    """Returns the name of a study: 12 digits, by its trials and encoded pictures."""
    digest = hashlib.sha256(json.dumps(design.as_json(), sort_keys=True).encode())
    for picture in pictures:
        digest.update(hashlib.sha256(picture).digest())
    return digest.hexdigest()[:12]


def codes(design: Design, study: str) -> list[int]:
    """Returns what a page needs to know of its pictures, veiled; [] if nothing.

    Only a staircase asks at once whether an answer was right. Its page holds, of each
    picture, real 0, generated 1 or catch 2, XOR the last bits of a hash: nobody reads
    it by chance, whoever reads the script can.
    """
    if design.task != STAIRCASE:
        return []
    return [
        _CODES.get(source, 1) ^ (_fnv1a(f"{study}:{i}") & 3)
        for i, source in enumerate(design.pictures)
    ]


def _fnv1a(text):
    """Fowler, Noll and Vo's hash of 32 bits, its halves put together."""
    x = 2166136261
    for byte in text.encode():
        x = (x ^ byte) * 16777619 & 0xFFFFFFFF
    return x ^ (x >> 16)
