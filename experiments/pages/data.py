"""What a run says of its data: what was left out or changed to train on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Of the numbers of `gans.data.altered`, those of whole files, which are said when the
# data are read.
FILES = ("left_out", "links", "corrupt", "short")


def sentence(config: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Returns all that run.json says of a run's data, as text; "" for an older run."""
    n = run.get("examples_in_data")
    if n is None:
        return ""
    reading = run.get("reading") or {}
    parts = [f"{config.get('data', 'data')}: {_count(n)} training examples"]
    parts += losses(reading, FILES) + losses(reading)
    parts += [change(x) for x in run.get("data_changes") or ()]
    return "; ".join(parts)


def losses(reading: Mapping[str, Any], files: tuple[str, ...] = ()) -> list[str]:
    """Returns what the numbers of `gans.data.altered` say, in words.

    files: FILES for those of files that were left out; else those of pictures.
    """
    groups = {
        k: x for k, x in reading.items() if isinstance(x, dict) and k not in FILES
    }
    if groups:  # sets that do not correspond, each by its name
        return [f"{k}: {x}" for k, part in groups.items() for x in losses(part, files)]
    return [*_of_files(reading)] if files else [*_of_pictures(reading)]


def _of_files(reading) -> Iterator[str]:
    if others := reading.get("left_out"):
        kinds = ", ".join(f"{n} {end or 'without ending'}" for end, n in others.items())
        yield f"files left out: {kinds}"
    if n := reading.get("links"):
        yield f"links left out: {n}"
    if n := reading.get("corrupt"):
        yield f"unreadable files left out: {n}"
    if n := reading.get("short"):
        yield f"videos shorter than a clip left out: {n}"


def _of_pictures(reading) -> Iterator[str]:
    if n := reading.get("looked_at"):
        yield f"of {n:,} that were looked at"
    if n := reading.get("cropped"):
        share = f"{reading['cut_off']:.0%} of all pixels cut off"
        yield f"{n:,} pictures cropped to a square ({share})"
    if n := reading.get("squashed"):
        yield f"{n:,} squashed to a square"
    if n := reading.get("enlarged"):
        yield f"{n:,} smaller ones enlarged"
    if n := reading.get("made_grey"):
        yield f"{n:,} stored in colour, read as grey"


def change(found: Mapping[str, Any]) -> str:
    """Returns a change of the data, {"step", "n_before", "n"}, in words."""
    step, before, now = (found[x] for x in ("step", "n_before", "n"))
    if before == now:
        return f"others, though as many, since step {step:,}"
    return f"{_count(before)} until step {step:,}, {_count(now)} since"


def marks(run: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Returns [(step, what is other from there on)] of the data changes in run.json."""
    return [(x["step"], _mark(x)) for x in run.get("data_changes") or ()]


def _mark(found):
    before, now = _count(found["n_before"]), _count(found["n"])
    return "other data" if before == now else f"{now} examples, before {before}"


def _count(n):
    if isinstance(n, int):
        return f"{n:,}"
    return " and ".join(f"{count:,} of {name}" for name, count in n.items())
