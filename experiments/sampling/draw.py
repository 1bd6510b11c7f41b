"""Samples of a run, drawn into files."""

from __future__ import annotations

import os
import pathlib
import re
import sys
import tempfile
import zipfile

import numpy as np

from experiments import origin
from experiments.files import replacing
from experiments.rundir import restore
from experiments.sampling import animation, asked, interpolation, meshes, pictures
from experiments.sampling.model import Model
from gans.data import kinds

MOST_IN_A_PICTURE = 10_000
MOST_COLUMNS = 16  # of a grid with a class in each
N_SAMPLES = 64
N_TEXTS = 16  # of texts that are asked for
N_LATENTS = 4  # that each sample of an animation goes through


def draw(
    workdir: str | os.PathLike,
    *,
    n: int | None = None,
    out: str | os.PathLike | None = None,
    label: str | int | None = None,
    text: str | None = None,
    seed: str | int | None = None,
    checkpoint: str | int | None = None,
    interpolate: int | None = None,
    training: bool = False,
    fps: float | None = None,
    batch_size: int | None = None,
    recalibrate: bool = False,
    output: str | None = None,
    truncation: float | None = None,
) -> str:
    """Draws samples by the averaged weights of a checkpoint; returns where they are.

    Args:
      workdir: folder of the run.
      n: how many of each seed (64 by default, of points 2048, and of examples at most
        one each; 8 of several seeds); with `interpolate` so many rows (8), or samples
        side by side in an animation (16).
      out: x.png, x.npz, x.gif, x.webp, x.mp4 or a folder, see `experiments.sample`; by
        default WORKDIR/samples/drawn_STEP.png, or training.gif.
      label: their class by name or number, or several, "cat,dog", in turn; by default
        all classes in turn.
      text: what they show, of a model that is given sentences; or several, "a; b", in
        turn.
      seed: 0, "0,1,2" or "0-15". Sample i depends on it and i alone, up to rounding.
      checkpoint: "last", "best" or a step; by default the last one.
      interpolate: samples on the great circle from one latent to the next: in a row; in
        an animation frames, with four latents and back to the first.
      training: an animation of the samples that were drawn in training.
      fps: frames a second of an animation (12).
      batch_size: how many are made at once (64).
      recalibrate: see `experiments.load`.
      output: of the model; by default "sample", or the only one that can be drawn.
      truncation: see `Model.sample`.

    Raises FileNotFoundError if there is no such run or no checkpoint, CheckpointError
    if there is none of that step, FileExistsError if `out` is a folder with PNGs,
    ValueError for any other wrong argument.
    """
    for name, value, least in (
        ("n", n, 1),
        ("batch_size", batch_size, 1),
        ("interpolate", interpolate, 2),
        ("fps", fps, 1),
    ):
        if value is not None and value < least:
            raise ValueError(f"--{name}={value}: wanted at least {least}")
    if fps is not None and fps > 50:
        raise ValueError(f"--fps={fps}: wanted at most 50")
    form = _form(out) if out is not None else ".gif" if training else ".png"
    moves = form in animation.SUFFIXES
    if moves and out is not None:
        animation.check(out)
    if fps is not None and not moves:
        raise ValueError(
            f"--fps={fps} is for animations: --out must end in .gif, .webp or .mp4"
        )
    fps = fps or animation.FPS
    if training:
        drawing = {
            "n": n,
            "class": label,
            "text": text,
            "seed": seed,
            "interpolate": interpolate,
        }
        drawing |= {"checkpoint": checkpoint, "batch_size": batch_size}
        drawing |= {"truncation": truncation}
        given = [x for x, v in drawing.items() if v is not None]
        given += ["recalibrate"] * recalibrate
        return _training(workdir, out, form, given, output=output, fps=fps)

    seeds = asked.seeds(seed)
    if interpolate and len(seeds) > 1:
        raise ValueError(f"--seed={seed}: --interpolate takes one seed")
    if (
        form == ".png"
        and (n or 1) * (interpolate or 1) * len(seeds) > MOST_IN_A_PICTURE
    ):
        raise ValueError(
            f"--n={n}: one picture holds at most {MOST_IN_A_PICTURE:,} samples; a "
            "folder or .npz holds any number"
        )
    model = Model.load(workdir, checkpoint, recalibrate=recalibrate)
    output = output or model.main_output
    sampler, step = model.sampler(output), int(model.state.step)
    least = 16 if moves and interpolate else 8
    few = interpolate or len(seeds) > 1
    said = asked.texts(text)
    if n is None:
        n = least if few else _default(model.spec, sampler, form, said)
    total = n * (interpolate or 1)  # of each seed
    if seed is not None and not sampler.random:
        raise ValueError(
            f"--seed={seed}: output {output!r} draws nothing; it depends on the "
            "examples of the data alone"
        )
    if out is not None and form != "folder":
        fields = {*model.spec, *sampler.fields, "seed"}
        _check_old(pathlib.Path(out), fields | {f"{name}_names" for name in model.spec})
    # Arrays need no picture, and to see what can be drawn takes a trace of the model.
    drawn = [] if form == ".npz" else _drawn(model, sampler, out, form, interpolate)
    label = asked.classes(model.spec, label)

    def inputs(seed):
        given = {"seed": seed, "output": output, "truncation": truncation}
        given["text"] = said
        if moves and interpolate:
            turns = _resized(label, n)  # each sample keeps its class
            found = model.inputs(N_LATENTS * n, label=turns, **given)
            return interpolation.loop(found, N_LATENTS, interpolate)
        if interpolate:
            found = model.inputs(2 * n, label=label, **given)
            return interpolation.rows(found, interpolate)
        return model.inputs(n, label=label, **given)

    first = inputs(seeds[0])  # whatever cannot be drawn is found before any file

    def batches():
        for one in seeds:
            given = first if one == seeds[0] else inputs(one)
            options = {"seed": one, "output": output, "size": batch_size}
            if (
                moves and interpolate
            ):  # one frame at a time; the noise of a sample stands still
                options |= {"size": n, "draws": np.arange(len(given["z"])) % n}
            yield from model.batches(given, **options)

    if out is None:
        name = f"drawn_{step:08d}" + ("" if output == "sample" else f"_{output}")
        out = pathlib.Path(workdir) / "samples" / f"{name}.png"
    out = pathlib.Path(out)
    os.makedirs(out if form == "folder" else out.parent, exist_ok=True)
    with origin.noted(**model.origin(output), seed=",".join(map(str, seeds))):
        if moves and interpolate:
            animation.save(out, _frames(model.spec, drawn[-1], batches()), fps=fps)
        elif moves:
            made = np.concatenate([x[drawn[-1]] for x in batches()])
            row = n if len(seeds) > 1 else None
            frames = pictures.of(model.spec[drawn[-1]]).frames(made, row)
            animation.save(out, map(animation.enlarged, frames), fps=fps)
        elif form == "folder":
            _write_singly(out, model.spec, drawn[-1], batches(), seeds, total)
        elif form in meshes.SUFFIXES:
            made = np.concatenate([x[drawn[-1]] for x in batches()])
            pictures.of(model.spec[drawn[-1]]).save(out, made)
        elif form == ".npz":
            extra = {"seed": np.repeat(seeds, total)} if len(seeds) > 1 else {}
            _write_arrays(out, model.spec, len(seeds) * total, batches(), extra)
        else:
            parts = list(batches())
            made = {name: np.concatenate([x[name] for x in parts]) for name in parts[0]}
            columns = interpolate or (n if len(seeds) > 1 else None)
            plain = interpolate or said
            shown = {} if plain else sampler.given(sampler.examples(n))
            targets = {} if plain else sampler.targets(n)
            if said:
                shown = {x: first[x] for x in sampler.depends_on}
            given, targets = (
                {name: np.concatenate([x] * len(seeds)) for name, x in fields.items()}
                for fields in (shown, targets)
            )
            _write_picture(out, model, drawn, made, given, targets, columns)
    print(f"checkpoint of step {step:,}", file=sys.stderr)
    return str(out)


def _default(spec, sampler, form, said):
    """How many samples, if nobody says: a picture's worth, each example once."""
    kinds_of = {spec[x].kind for x in sampler.fields if x in spec}
    modules = [pictures.of_kind(x) for x in kinds_of if pictures.drawable(x)]
    n = N_SAMPLES
    if form in (*animation.SUFFIXES, *meshes.SUFFIXES):
        n = max((x.N for x in modules if hasattr(x, "frames")), default=n)
    elif form not in (".npz", "folder"):  # of points more, of clips fewer
        n = max((x.N for x in modules if not x.GRID), default=n)
    if said:
        return max(N_TEXTS, len(said))  # no example is needed
    return min(n, sampler.n_examples or n)


def _write_picture(out, model, drawn, made, given, targets, columns):
    """A grid; with captions of what its columns show, or the names of their classes."""
    spec = model.spec
    label = next((x for x in made if x in spec and spec[x].kind == "label"), None)
    plain = len(drawn) == 1 and not given and spec[drawn[0]].kind == "image"
    n_classes = len({*made[label].tolist()}) if label else 0
    names = spec[label].names if plain and n_classes > 1 else None
    if names and columns is None and n_classes <= MOST_COLUMNS:
        columns = n_classes * max(1, round(len(made[label]) ** 0.5 / n_classes))
    needs_source = any(pictures.of(spec[name]).SOURCE for name in drawn)
    pictures.draw(
        out.with_suffix(""),
        spec,
        {"sample": made},
        given={"sample": given},
        targets={"sample": targets},
        source=model.data if needs_source else None,
        columns=columns,
        at_most=None,
    )
    if names and columns:
        classes = made[label][:columns]
        if np.array_equal(made[label], np.resize(classes, len(made[label]))):
            pictures.caption(out, [names[i] for i in classes], columns)


def _training(workdir, out, form, given, *, output, fps):
    if given:
        raise ValueError(
            f"--training shows the pictures that the run has drawn; --{given[0]} has "
            "no effect on them"
        )
    if form not in animation.SUFFIXES:
        raise ValueError(f"--out={out}: --training needs a name in .gif, .webp or .mp4")
    out = pathlib.Path(out or pathlib.Path(workdir) / "samples" / "training.gif")
    restore.config_of(workdir)  # whether there is a run
    _check_old(out)
    os.makedirs(out.parent, exist_ok=True)
    animation.training(out, workdir, output=output, fps=fps)
    return str(out)


def _resized(classes, n):
    """Of a list of classes, n in turn."""
    if not isinstance(classes, list):
        return classes
    return [classes[i % len(classes)] for i in range(n)]


def _frames(spec, name, batches):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "frame.png"
        for batch in batches:
            frame = pictures.of(spec[name]).draw(path, batch[name], name=name)
            yield animation.enlarged(frame)


def _drawn(model, sampler, out, form, interpolate):
    """The fields that can be drawn; ValueError if a field that is needed cannot."""
    spec = model.spec
    fields = [x for x in sampler.fields if x in spec]
    drawn = [x for x in fields if pictures.drawable(spec[x].kind)]
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
    if form in meshes.SUFFIXES and not hasattr(modules[-1], "save"):
        raise ValueError(f"--out={out}: {named.replace('images', 'voxels')}")
    animated = form in animation.SUFFIXES and not interpolate
    if animated and not hasattr(modules[-1], "frames"):
        raise ValueError(
            f"--out={out}: an animation of {spec[drawn[-1]].kind} data needs "
            "--interpolate or --training"
        )
    return drawn


def _form(out):
    """Returns ".png", ".npz", ".gif", ".glb" ... or "folder"."""
    path = pathlib.Path(out)
    if path.is_dir() or str(out).endswith("/") or not path.suffix:
        if any(next(path.glob(x), None) for x in ("*.png", "*.webp", "*.obj")):
            raise FileExistsError(f"--out={out}: this folder holds pictures already")
        return "folder"
    if path.suffix not in (".png", ".npz", *animation.SUFFIXES, *meshes.SUFFIXES):
        raise ValueError(
            f"--out={out}: unknown extension {path.suffix!r}; wanted .png (a grid), "
            ".npz (arrays), .gif, .webp or .mp4 (an animation), .obj, .stl or .glb (a "
            "mesh of voxels), or none (a folder of single ones)"
        )
    return path.suffix


def _check_old(out, fields=frozenset()):
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
        ours = animation.is_ours(out)
    if not ours:
        raise FileExistsError(
            f"--out={out}: this file was not drawn by this command; remove it, or "
            "choose another name"
        )


def _write_singly(folder, spec, name, batches, seeds, n):
    """Writes 00000.png, ...; with the seed if there are several, and a class's name."""
    label = next((x for x, field in spec.items() if field.kind == "label"), None)
    names = spec[label].names if label else None
    count = 0
    for batch in batches:
        for i, example in enumerate(batch[name]):
            row, index = divmod(count, n)
            stem = f"{index:05d}"
            if len(seeds) > 1:
                stem = f"seed{seeds[row]:04d}_{stem}"
            if names and label in batch:
                stem += "_" + re.sub(r"[^\w.+-]+", "-", names[int(batch[label][i])])
            kind = pictures.of(spec[name])
            with origin.noted(seed=seeds[row], index=index):
                kind.single(folder / f"{stem}{kind.SUFFIX}", example)
            count += 1


def _write_arrays(path, spec, n, batches, extra):
    """Writes the output, with the labels it was made for, as the data store them.

    Arrays grow on disk, so that memory holds one batch. Names of classes are in
    `FIELD_names`.
    """
    arrays, done = {}, 0
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for batch in batches:
            for name, x in batch.items():
                x = kinds.of(spec[name]).encode(x) if name in spec else x
                if name not in arrays:
                    file = pathlib.Path(folder) / f"{len(arrays)}.npy"
                    shape = (n, *x.shape[1:])
                    arrays[name] = np.lib.format.open_memmap(file, "w+", x.dtype, shape)
                    if name in spec and spec[name].names and spec[name].kind == "label":
                        extra = extra | {f"{name}_names": np.array(spec[name].names)}
                arrays[name][done : done + len(x)] = x
            done += len(x)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays, **extra)
