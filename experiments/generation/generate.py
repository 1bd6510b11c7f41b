"""Draws many samples of a trained model into shards."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from experiments import origin
from experiments.generation import shards
from experiments.sampling import asked, pictures, weights
from experiments.sampling.model import Model
from gans import names
from gans.data import kinds

ARRAYS = "npz"
_FULL = {errno.ENOSPC, errno.EDQUOT}


def generate(
    workdir: str | os.PathLike,
    out: str | os.PathLike,
    *,
    n: int | None = None,
    seed: int = 0,
    label: str | None = None,
    truncation: float | None = None,
    output: str | None = None,
    checkpoint: str | int | None = None,
    shard_size: int = 10_000,
    batch_size: int = 64,
    form: str = "files",
    what: str | None = None,
) -> int:
    """Draws the samples 0 to n - 1 of a seed; returns how many shards are missing.

    They are those of `experiments.sample`. Finished shards are skipped, so that the
    same call goes on where another was stopped, and those that another process makes
    are left to it. The bytes depend on the arguments and the weights, on one machine.

    Args:
      out: a folder, see `shards.Folder`.
      n: of an output made of examples, by default one of each.
      label, truncation, output, checkpoint: see `draw`.
      shard_size: samples in a shard.
      batch_size: how many are made at once.
      form: "files", a folder of each shard, or "tar".
      what: "pictures" or "npz", arrays of a batch a file; by default pictures of what
        has single ones.

    Raises ValueError for what is wrong in the arguments, FileExistsError for a folder
    with other samples, OSError if one cannot be written.
    """
    for flag, value in (("shard_size", shard_size), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"--{flag}={value}: wanted at least 1")
    names.check(form, shards.FORMS, "--form")
    if what is not None:
        names.check(what, ("pictures", ARRAYS), "--what")
    if len(asked.seeds(seed)) > 1:
        raise ValueError(f"--seed={seed}: wanted one number")
    model = Model.load(workdir, checkpoint)
    output = output or model.main_output
    sampler = model.sampler(output)
    if n is None:
        n = sampler.n_examples
        if n is None:
            raise ValueError("--n is missing: how many samples")
    if not 1 <= n <= 2**32:
        raise ValueError(f"--n={n}: wanted 1 to 2^32")
    if not sampler.random and n > sampler.n_examples:
        raise ValueError(
            f"--n={n}: output {output!r} depends on the {sampler.n_examples} examples "
            "of the data alone"
        )
    field = _field(model.spec, sampler.fields)
    if what == "pictures" and field is None:
        raise ValueError(
            f"--what=pictures: output {output!r} makes {', '.join(sampler.fields)}, "
            f"without single pictures; --what={ARRAYS} holds them"
        )
    what = what or ("pictures" if field else ARRAYS)
    classes = asked.classes(model.spec, label)
    given = {"label": classes, "truncation": truncation, "output": output}
    model.inputs(1, seed=seed, **given)  # whatever is wrong is found before any file
    known = model.origin(output) | {"seed": str(seed)}
    of_weights = weights.digest(weights.of(sampler, model.state))
    settings = {**known, "n": n, "shard_size": shard_size, "batch_size": batch_size}
    settings |= {"class": label, "truncation": truncation}
    settings |= {"form": form, "what": what, "weights": of_weights}
    folder = shards.Folder(out, settings)
    count = -(-n // shard_size)
    finished = [k for k in range(count) if folder.finished(k)]
    n_done = sum(min(shard_size, n - k * shard_size) for k in finished)
    try:
        # disable=None: at a terminal only
        with tqdm(total=n, initial=n_done, unit=" samples", disable=None) as bar:
            for k in range(count):
                with folder.held(k) as ours:
                    if not ours:
                        continue
                    indices = np.arange(k * shard_size, min((k + 1) * shard_size, n))
                    batches = _batches(model, indices, seed, given, batch_size, bar)
                    with origin.noted(**known):
                        with shards.FORMS[form](folder.path, k) as shard:
                            save = _pictures if what == "pictures" else _arrays
                            made = save(shard, model.spec, batches, field)
                    folder.finish(k, [{**x, "seed": seed} for x in made])
    except OSError as error:
        if error.errno in _FULL:
            done = sum(map(folder.finished, range(count)))
            error.strerror += (
                f"; {done} of {count} shards are finished, and the same command goes on"
            )
        raise
    if folder.join(count):
        said = f"; {len(finished)} were there already" if finished else ""
        print(f"{n:,} samples in {count} shards{said}", file=sys.stderr)
        return 0
    missing = sum(not folder.finished(k) for k in range(count))
    print(f"{missing} shards are being made by other processes", file=sys.stderr)
    return missing


def _field(spec, made) -> str | None:
    """The last field that has single pictures, as `experiments.sample` takes it."""
    fields = [x for x in made if x in spec and pictures.drawable(spec[x].kind)]
    single = [x for x in fields if hasattr(pictures.of(spec[x]), "single")]
    return single[-1] if single else None


def _batches(model, indices, seed, given, size, bar) -> Iterator[tuple[Any, Any]]:
    """Yields (indices, {field: [b, ...]}), all by one program."""
    program = model.program(given["output"], size)
    for start in range(0, len(indices), size):
        some = indices[start : start + size]
        inputs = model.inputs(indices=some, seed=seed, **given)
        yield some, program(inputs, model.keys(seed, some))
        bar.update(len(some))


def _class(spec, made) -> tuple[str | None, tuple[str, ...] | None]:
    """The field of classes among what was made, and their names."""
    label = next((x for x in made if x in spec and spec[x].kind == "label"), None)
    return label, spec[label].names if label else None


def _of_class(spec, made, i) -> dict[str, Any]:
    label, named = _class(spec, made)
    if label is None:
        return {}
    number = int(made[label][i])
    return {"class": named[number] if named else number}


def _pictures(shard, spec, batches, field) -> list[shards.Record]:
    """A file for each sample, 000000017.png."""
    kind, records = pictures.of(spec[field]), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"one{kind.SUFFIX}"
        for indices, made in batches:
            for i, index in enumerate(indices.tolist()):
                with origin.noted(index=index):
                    kind.single(path, made[field][i])
                record = shard.add(f"{index:09d}{kind.SUFFIX}", path.read_bytes())
                records.append({**record, "index": index, **_of_class(spec, made, i)})
    return records


def _arrays(shard, spec, batches, field) -> list[shards.Record]:
    """A file for each batch, as the data store it: 000000064.npz, its first index."""
    records = []
    for indices, made in batches:
        stored = {
            name: kinds.of(spec[name]).encode(x) if name in spec else x
            for name, x in made.items()
        }
        content = io.BytesIO()
        np.savez(content, index=indices, **stored)
        record = shard.add(f"{indices[0]:09d}.npz", content.getvalue())
        records += [
            {**record, "row": i, "index": index, **_of_class(spec, made, i)}
            for i, index in enumerate(indices.tolist())
        ]
    return records
