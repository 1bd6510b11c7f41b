"""Samples of a run, drawn into files."""

from __future__ import annotations

import os
import pathlib
import zipfile
from collections.abc import Iterator

import numpy as np

from experiments.files import replacing
from experiments.sampling import interpolation, pictures
from experiments.sampling.model import Model
from gans.data import kinds


def draw(
    workdir: str | os.PathLike,
    *,
    n: int | None = None,
    out: str | os.PathLike | None = None,
    label: int | None = None,
    seed: int = 0,
    checkpoint: str | int | None = None,
    interpolate: int | None = None,
    batch_size: int = 64,
    recalibrate: bool = False,
    output: str | None = None,
) -> str:
    """Draws samples by the averaged weights of a checkpoint; returns where they are.

    Args:
      workdir: folder of the run.
      n: how many (64 by default); with `interpolate` so many rows (8).
      out: x.png, x.npz or a folder, see `experiments.sample`; by default
        WORKDIR/samples/drawn_STEP.png.
      label: their class; by default all classes in turn.
      seed: of the latents. These depend on it, not on `batch_size`.
      checkpoint: "last", "best" or a step; by default the last one.
      interpolate: samples in a row, on the great circle between two latents.
      batch_size: how many are made at once.
      recalibrate: see `experiments.load`.
      output: of the model; by default "sample", or the only one that can be drawn.

    Raises FileNotFoundError if there is no such run or no checkpoint, CheckpointError
    if there is none of that step, FileExistsError if `out` is a folder with PNGs,
    ValueError for any other wrong argument.
    """
    for name, value, least in (
        ("n", n, 1),
        ("batch_size", batch_size, 1),
        ("interpolate", interpolate, 2),
    ):
        if value is not None and value < least:
            raise ValueError(f"--{name}={value}: wanted at least {least}")
    n = n or (8 if interpolate else 64)
    form = ".png" if out is None else _form(out)

    model = Model.load(workdir, checkpoint, recalibrate=recalibrate)
    output = output or model.main_output
    sampler = model.sampler(output)
    if out is not None and form != "folder":
        _check_old(pathlib.Path(out), {*model.spec, *sampler.fields})
    # Arrays need no picture, and to see what can be drawn takes a trace of the model.
    drawn = [] if form == ".npz" else _drawn(model, sampler, form, interpolate)
    inputs = model.inputs(
        2 * n if interpolate else n, seed=seed, label=label, output=output
    )
    if interpolate:
        inputs = interpolation.rows(inputs, interpolate)
    if out is None:
        name = f"drawn_{int(model.state.step):08d}"
        name += "" if output == "sample" else f"_{output}"
        out = pathlib.Path(workdir) / "samples" / f"{name}.png"
    out = pathlib.Path(out)
    os.makedirs(out if form == "folder" else out.parent, exist_ok=True)
    batches = model.batches(inputs, seed=seed, output=output, size=batch_size)
    if form == "folder":
        name = drawn[-1]
        _write_singly(out, model.spec[name], (batch[name] for batch in batches))
        return str(out)
    parts = list(batches)
    made = {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}
    if form == ".npz":
        _write_arrays(out, model.spec, {**inputs, **made}, made)
        return str(out)
    needs_source = any(pictures.of(model.spec[name]).SOURCE for name in drawn)
    pictures.draw(
        out.with_suffix(""),
        model.spec,
        {"sample": made},
        given={} if interpolate else {"sample": sampler.given(sampler.examples(n))},
        source=model.data if needs_source else None,
        columns=interpolate,
        at_most=None,
    )
    return str(out)


def _drawn(model, sampler, form, interpolate):
    """The fields that can be drawn; ValueError if a field that is needed cannot."""
    spec = model.spec
    fields = [x for x in sampler.fields if x in spec]
    drawn = [x for x in fields if spec[x].kind in pictures.kinds()]
    if not drawn:
        raise ValueError(
            f"output {sampler.output!r} has no picture, as it has no field of the "
            "data; --out must end in .npz"
        )
    modules = [pictures.of(spec[name]) for name in drawn]
    named = f"{model.config.data} has {spec[drawn[-1]].kind} data, not images"
    if interpolate and not all(module.GRID for module in modules):
        raise ValueError(f"{named}: --interpolate needs tiles in rows")
    if form == "folder" and not hasattr(modules[-1], "single"):
        raise ValueError(f"{named}: --out must end in .png or .npz")
    return drawn


def _form(out):
    """Returns ".png", ".npz" or "folder"."""
    path = pathlib.Path(out)
    if path.is_dir() or str(out).endswith("/") or not path.suffix:
        if any(path.glob("*.png")):
            raise FileExistsError(f"--out={out}: this folder holds PNGs already")
        return "folder"
    if path.suffix not in (".png", ".npz"):
        raise ValueError(
            f"--out={out}: unknown extension {path.suffix!r}; wanted .png (a grid), "
            ".npz (arrays), or none (a folder of PNGs)"
        )
    return path.suffix


def _check_old(out, fields):
    """Raises FileExistsError for a file that is not one of samples."""
    if not out.exists():
        return
    if out.suffix == ".npz":
        ours = (
            zipfile.is_zipfile(out)
            and {name.removesuffix(".npy") for name in zipfile.ZipFile(out).namelist()}
            <= fields
        )
    else:
        ours = pictures.is_ours(out)
    if not ours:
        raise FileExistsError(
            f"--out={out}: this file was not drawn by this command; remove it, or "
            "choose another name"
        )


def _write_singly(folder, field, batches: Iterator[np.ndarray]):
    count = 0
    for batch in batches:
        for example in batch:
            pictures.of(field).single(folder / f"{count:05d}.png", example)
            count += 1


def _write_arrays(path, spec, known, made):
    """Writes the output, and the labels among its inputs, as the data store them."""
    arrays = {}
    for name, x in known.items():
        if name in spec and (name in made or spec[name].kind == "label"):
            arrays[name] = kinds.of(spec[name]).encode(x)
        elif name in made:
            arrays[name] = x
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)
