"""Answers of participants: their files, checked against the key of the study."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from experiments.judging import design as designs
from experiments.judging.design import Design

ATTENTIVE = 0.75  # the share of catch trials that has to be right


class Key(NamedTuple):
    """What no page says: the name of a study, its design, and what it is made of."""

    study: str
    design: Design
    made_of: dict[str, Any]


class Answer(NamedTuple):
    """One answer.

    Attributes:
      part: of the design, in which the trial lies.
      sources: of the pictures shown: "real", "catch" or a model.
      wrong: whether the real picture was not recognised, or a generated one was taken
        for real.
      asked_ms: how long the pictures were to be shown; None: without a limit.
    """

    part: int
    sources: tuple[str, ...]
    wrong: bool
    asked_ms: float | None


class Participant(NamedTuple):
    """The answers of one participant; `why_not` says why they are left out, if so."""

    name: str
    answers: tuple[Answer, ...]
    why_not: str | None


def key_of(page: Path) -> Path:
    """Returns where the key of a page is kept."""
    return page.with_suffix(".key.json")


def read_key(path: str | os.PathLike) -> Key:
    """Returns a key; ValueError, with the path, for a file that is none."""
    found = _json(path, "--key")
    try:
        return Key(found["study"], Design.of_json(found["design"]), found["made_of"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"--key={path}: no key of a study: {error} is wrong") from None


def files(named: Sequence[str]) -> list[Path]:
    """Returns the files of answers: each name is a file, a folder, or a pattern.

    Raises FileNotFoundError for a name without files.
    """
    found: dict[Path, None] = {}
    for name in named:
        several = glob.glob(name)
        if os.path.isdir(name):
            several = glob.glob(os.path.join(glob.escape(name), "*.json"))
        if not several:
            raise FileNotFoundError(
                f"--answers={name}: no such file, nor folder of any"
            )
        found |= dict.fromkeys(Path(x) for x in sorted(several))
    return [*found]


def read(paths: Sequence[Path], key: Key) -> list[Participant]:
    """Returns the participants, one of each file.

    Raises ValueError, with the path, for a file of another study or with other content,
    and for two files of one participant.
    """
    found: dict[str, Path] = {}
    participants = []
    for path in paths:
        one = _participant(path, key)
        if one.name in found:
            raise ValueError(
                f"--answers: {found[one.name]} and {path} are of one participant; "
                "remove one"
            )
        found[one.name] = path
        participants.append(one)
    return participants


def _participant(path, key):
    found, design = _json(path, "--answers"), key.design
    if not isinstance(found, dict) or "study" not in found:
        raise ValueError(f"--answers={path}: no file of answers")
    if found["study"] != key.study:
        raise ValueError(
            f"--answers={path}: of the study {found['study']}; the key is that of "
            f"{key.study}"
        )
    known = {
        frozenset(trial): part
        for part, blocks in enumerate(design.parts)
        for block in blocks
        for trial in block
    }
    try:
        given = [_answer(x, design, known) for x in found["answers"]]
        name = str(found["participant"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}"
        raise ValueError(f"--answers={path}: damaged: {said}") from None
    seen = {frozenset(x["pictures"]) for x in found["answers"]}
    if len(seen) < len(given):
        raise ValueError(f"--answers={path}: a trial has two answers")
    return Participant(name, tuple(given), _why_not(given, design))


def _answer(found, design, known):
    pictures, real = found["pictures"], found["real"]
    part = known.get(frozenset(pictures))
    if part is None:
        raise ValueError(f"the study has no trial of pictures {pictures}")
    if real is not None and real not in pictures:
        raise ValueError(f"picture {real} was not shown, but {pictures}")
    if real is None and design.task == designs.CHOICE:
        raise ValueError(f"none of {pictures} was chosen")
    sources = tuple(design.pictures[i] for i in pictures)
    truth = next((i for i in pictures if design.pictures[i] == designs.REAL), None)
    asked = found.get("asked_ms")
    return Answer(part, sources, real != truth, None if asked is None else float(asked))


def _why_not(given, design):
    if len(given) < design.n_trials:
        return f"{len(given)} of {design.n_trials} trials answered"
    catches = [x.wrong for x in given if designs.CATCH in x.sources]
    right = len(catches) - sum(catches)
    if catches and right < ATTENTIVE * len(catches):
        return f"{right} of {len(catches)} catch trials right"
    return None


def _json(path, flag):
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except FileNotFoundError:
        raise FileNotFoundError(f"{flag}={path}: no such file") from None
    except ValueError as error:
        raise ValueError(f"{flag}={path}: not JSON: {error}") from None
