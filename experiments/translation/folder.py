"""Many pictures, each translated into a file of its own: what the command does."""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import os
import sys
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from experiments import origin
from experiments.files import remove_left
from experiments.sampling.model import Model
from experiments.translation import picture, places
from experiments.translation.places import Job
from experiments.translation.translator import Translator, key_of
from gans import averaging
from gans.data import sets
from gans.data.image import WIDE

NO_MEMORY = "--tile=512 needs less, and so does a smaller --size."
_AHEAD = 2  # pictures that are read, and files that are written, meanwhile

Record = dict[str, Any]


@dataclasses.dataclass
class Count:
    """How many files were made, had been made earlier, and could not be made."""

    made: int = 0
    kept: int = 0
    failed: int = 0

    def __str__(self) -> str:
        """In words: 2 made, 1 failed."""
        parts = [f"{self.made} made"]
        parts += [f"{self.kept} were there already"] * bool(self.kept)
        parts += [f"{self.failed} failed"] * bool(self.failed)
        return ", ".join(parts)


def translate(
    workdir: str | os.PathLike,
    *,
    source: str,
    out: str,
    output: str | None = None,
    checkpoint: str | int | None = None,
    seed: int | None = None,
    n: int | None = None,
    size: str | int | None = None,
    tile: int | None = None,
    form: str = "png",
    colour: bool = False,
    already: bool = False,
    mask: str | None = None,
    overwrite: bool = False,
    enlarging: bool = False,
    scale: int | None = None,
    blend: tuple[str | os.PathLike, float] | None = None,
) -> Count:
    """Translates a picture, or all of a folder, by a checkpoint's averaged weights.

    Each file says how it was made. One that was made of the same picture in the same
    way is kept, so that the same call goes on where another was stopped. A picture that
    cannot be read is named, and left out.

    Args:
      workdir: folder of the run.
      source: a picture, or a folder of them, with sub-folders.
      out: a folder, which is made; of one picture also a file.
      output, size, tile, already: see `Translator`.
      checkpoint: "last", "best" or a step; by default the last one.
      seed: of what the output draws (0). A picture's result depends on it and on the
        picture's name, and on no other picture.
      n: variants of each picture (1).
      form: of the files: png, jpg or webp.
      colour: grey pictures may get colours also where a model was trained on colours.
      mask: of where pictures have holes, white there: a picture, or a folder of them by
        the same names. Without it holes are where a picture is transparent.
      overwrite: replaces files that were made in another way. Files that were not made
        here are never replaced.
      enlarging: the model has to make pictures larger.
      scale: how many times; None: as often as it does.
      blend: a run, such as one that was only pretrained, and the share of this one's
        weights between the two (see `gans.averaging.between`).

    Raises FileNotFoundError if there is no such run, no checkpoint, or no picture;
    FileExistsError for files that would be replaced; OSError if one cannot be written;
    ValueError for any other wrong argument.
    """
    if n is not None and n < 1:
        raise ValueError(f"--n={n}: wanted at least 1")
    jobs = places.jobs(source, out, n=n or 1, ending=f".{form}")
    model = Model.load(workdir, checkpoint)
    if blend is not None:
        model = _blended(model, *blend)
    translator = model.translator(output, size, tile, already)
    if enlarging and translator.scale == 1:
        raise ValueError(
            f"{workdir}: this run makes pictures as large as they are; "
            "experiments.translate is for it"
        )
    if scale not in (None, translator.scale):
        raise ValueError(
            f"--scale={scale}: this run was trained to make pictures "
            f"{translator.scale} times larger"
        )
    if mask:
        if translator.channels % 2:
            raise ValueError(f"--mask={mask}: this model does not fill holes")
        jobs = places.masked(jobs, mask)
    for flag, value in (("seed", seed), ("n", n)):
        if value is not None and not translator.random:
            raise ValueError(
                f"--{flag}={value}: output {translator.output!r} draws nothing; it "
                "depends on the picture alone"
            )
    if output is None and translator.others:
        print(
            f"output: {translator.output}; --output also takes "
            f"{', '.join(translator.others)}",
            file=sys.stderr,
        )
    settings = {
        "step": int(model.state.step),
        "weights": translator.digest(),
        "output": translator.output,
        "size": translator.size,
        "tile": translator.shapes.tile,
        "colour": colour,
        "already": already,
        "seed": seed or 0,
    }
    found = earlier(jobs, settings, overwrite)
    again = [job for job in jobs if _is_jpeg(job.source)]
    if again and _is_jpeg(jobs[0].targets[0]):
        print("JPEG is compressed again, at quality 95; png keeps all", file=sys.stderr)
    given = model.data_options.get("range")
    levels = sets.levels(model.config.data, given) if given else WIDE
    read = functools.partial(
        _read,
        channels=translator.channels,
        levels=levels,
        settings=settings,
        earlier=found,
    )
    with origin.noted(**model.origin(translator.output)):
        return _work(translator, jobs, read, settings["seed"], colour)


def _blended(model, workdir, share):
    """The model with weights between those of another run and its own."""
    if not 0 <= share <= 1:
        raise ValueError(f"--blend={share}: wanted a share from 0 to 1")
    other = Model.load(workdir)
    try:
        state = averaging.between(other.state, model.state, share)
    except ValueError as error:
        raise ValueError(f"--blend_with={workdir}: {error}") from None
    return dataclasses.replace(model, state=state)


def _is_jpeg(path):
    return picture.SUFFIXES.get(path.suffix.lower()) == "JPEG"


def earlier(
    jobs: Iterable[Job], settings: Record, overwrite: bool
) -> dict[os.PathLike, Record]:
    """How those files were made that are there; FileExistsError if one must stay."""
    found = {}
    for target in (target for job in jobs for target in job.targets):
        if not os.path.lexists(target):
            continue
        record = None if target.is_dir() else picture.record_of(target)
        if record is None:
            raise FileExistsError(
                f"{target} was not made by this command: it is not replaced; choose "
                "another --out"
            )
        other = [x for x, value in settings.items() if record.get(x) != value]
        if other and not overwrite:
            raise FileExistsError(
                f"{target} was made with {other[0]} {record.get(other[0])}, not "
                f"{settings[other[0]]}: --overwrite replaces such files, or choose "
                "another --out"
            )
        found[target] = record
    return found


@dataclasses.dataclass(frozen=True)
class _Read:
    """A picture, and {variant: how it is to be made} of what is missing."""

    job: Job
    missing: dict[int, Record]
    picture: picture.Picture | None = None
    error: Exception | None = None


def _read(job, *, channels, levels, settings, earlier) -> _Read:
    try:
        content = job.source.read_bytes()
        mask = job.mask.read_bytes() if job.mask else None
        crc32 = zlib.crc32(mask or b"", zlib.crc32(content))
        own = {"input": job.name, "crc32": crc32}
        records = [settings | own | {"variant": i} for i in range(len(job.targets))]
        missing = {
            i: record
            for i, record in enumerate(records)
            if earlier.get(job.targets[i]) != record
        }
        found = picture.read(content, channels, mask, levels) if missing else None
        return _Read(job, missing, found)
    except (OSError, ValueError) as error:
        return _Read(job, {}, error=error)


def _work(translator: Translator, jobs, read, seed, colour) -> Count:
    for place in {target.parent for job in jobs for target in job.targets}:
        remove_left(place)
    count, written, told = Count(), deque(), False
    pool, known = ThreadPoolExecutor(_AHEAD), contextvars.copy_context

    def failed(job, error):
        count.failed += 1
        tqdm.write(f"cannot translate {job.source}: {error}", sys.stderr)

    try:
        # disable=None: at a terminal only
        for found in tqdm(
            _ahead(pool, read, jobs), total=len(jobs), unit=" pictures", disable=None
        ):
            job, given = found.job, found.picture
            if found.error:
                failed(job, found.error)
                continue
            count.kept += len(job.targets) - len(found.missing)
            for i, record in found.missing.items():
                key = key_of(seed, job.name, i)
                try:
                    as_bytes = translator.scale > 1 and not given.grey
                    made = translator(given.pixels, key, _tiles, as_bytes)
                except FloatingPointError as error:
                    failed(job, error)
                    break
                if given.grey and translator.coloured and not colour:
                    made = picture.grey(made)
                    if not told and translator.scale == 1:
                        tqdm.write(
                            "grey pictures stay grey; --colour lets them have colours",
                            sys.stderr,
                        )
                    told = True
                made = picture.made_of(given, made)
                written.append(
                    pool.submit(known().run, _save, job.targets[i], made, record)
                )
                count.made += 1
                while len(written) > (0 if _large(made) else _AHEAD):
                    written.popleft().result()
        while written:
            written.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
    return count


def _large(made):
    """Whether the next picture waits until this one is written: memory is bounded."""
    return made.width * made.height > 2**24


def _ahead(pool, function: Callable, items: Iterable) -> Iterator:
    """Yields function(item) for each item, in order; the pool does some in advance."""
    waiting = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > _AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _tiles(places):
    return tqdm(places, unit=" tiles", leave=False, delay=2, disable=None)


def _save(target, made, record):
    os.makedirs(target.parent, exist_ok=True)
    picture.save(target, made, record)
