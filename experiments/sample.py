"""Samples of a run's generator: a grid, single pictures, or arrays.

    python -m experiments.sample --workdir=DIR --n=64 --out=FILE_OR_DIR

`--out=x.png` is one picture: a grid of the images, or a plot of the points;
`--out=x.npz` holds arrays: `image` uint8 [N, H, W, C] or `point` float32 [N, 2], and
`label` int32 [N] where the GAN has classes; a name without an ending is a folder of
single PNGs.
"""

from __future__ import annotations

import functools
import os
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

from experiments.files import replacing


def write(
    workdir: str | os.PathLike,
    *,
    n: int | None = None,
    out: str | os.PathLike | None = None,
    label: int | None = None,
    seed: int = 0,
    checkpoint: int | None = None,
    interpolate: int | None = None,
    batch_size: int = 64,
    recalibrate: bool = False,
) -> str:
    """Draws samples by the averaged weights of a checkpoint; returns where they are.

    Args:
      workdir: folder of the run.
      n: how many (64 by default); with `interpolate` so many rows (8).
      out: see above; by default WORKDIR/samples/drawn_STEP.png.
      label: their class; by default all classes in turn.
      seed: of the latents. The samples depend on it, not on `batch_size`.
      checkpoint: its step; by default the last one.
      interpolate: images in a row, on the great circle between two latents.
      batch_size: how many are made at once.
      recalibrate: see `restore`.

    Raises FileNotFoundError if there is no such run or no checkpoint, CheckpointError
    if there is none of that step, FileExistsError if `out` is a folder with PNGs,
    ValueError for any other wrong argument.
    """
    if n is None:
        n = 8 if interpolate else 64
    folder = pathlib.Path(workdir)
    config = config_of(folder)
    for name, value, least in (
        ("n", n, 1),
        ("batch_size", batch_size, 1),
        ("interpolate", interpolate, 2),
    ):
        if value is not None and value < least:
            raise ValueError(f"--{name}={value}: wanted at least {least}")
    kind = ".png" if out is None else _kind(out)

    import jax

    from experiments import config as configs
    from experiments.sampling import sampler
    from gans.data.pipeline import to_uint8

    is_image = len(config.shape) == 3
    if not is_image and (interpolate or kind == "folder"):
        raise ValueError(
            f"{config.data} has points, not images: --interpolate is not for them, "
            "and --out must end in .png or .npz"
        )
    gan = configs.build(config)
    inputs = _inputs(gan, config, jax.random.key(seed), n, label, interpolate)
    state = restore(gan, folder, checkpoint, recalibrate=recalibrate)
    if out is None:
        out = folder / "samples" / f"drawn_{int(state.step):08d}.png"
    out = pathlib.Path(out)
    os.makedirs(out if kind == "folder" else out.parent, exist_ok=True)

    batches = _batches(
        functools.partial(sampler.sample, gan), state, inputs, batch_size
    )
    if kind == "folder":
        _write_singly(out, (to_uint8(batch) for batch in batches))
        return str(out)
    samples = np.concatenate(list(batches))
    if kind == ".npz":
        name = "image" if is_image else "point"
        arrays = {name: to_uint8(samples) if is_image else samples.astype(np.float32)}
        if "label" in inputs:
            arrays["label"] = inputs["label"].astype(np.int32)
        with replacing(out) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
    else:
        _draw(out, samples, config, interpolate)
    return str(out)


def slerp(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """Interpolates on great circles, arXiv 1609.04468, section 2.1.

    Between Gaussian latents the straight line passes through lengths that hardly ever
    occur; this one keeps to those of its ends.

    Args:
      a, b: [N, ...], the ends; neither 0 nor opposite to each other.
      n: points on each line, both ends included.

    Returns [N, n, ...], of the type of `a`.
    """
    flat_a, flat_b = (x.reshape(len(x), 1, -1).astype(np.float64) for x in (a, b))
    unit_a, unit_b = (
        x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (flat_a, flat_b)
    )
    angle = np.arccos(np.clip((unit_a * unit_b).sum(-1, keepdims=True), -1, 1))
    t = np.linspace(0, 1, n)[:, None]
    # By sinc(x) = sin(pi x) / (pi x) the quotients of sines hold for an angle of 0 too.
    weight_a = (1 - t) * np.sinc((1 - t) * angle / np.pi) / np.sinc(angle / np.pi)
    weight_b = t * np.sinc(t * angle / np.pi) / np.sinc(angle / np.pi)
    points = weight_a * flat_a + weight_b * flat_b
    return points.reshape(len(a), n, *a.shape[1:]).astype(a.dtype)


def _kind(out):
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


def _inputs(gan, config, key, n, label, interpolate):
    """What the generator is given: a dict of numpy arrays [N, ...]."""
    from experiments.sampling import sampler

    n_latents = 2 * n if interpolate else n
    inputs = {
        name: np.asarray(x) for name, x in sampler.inputs(gan, key, n_latents).items()
    }
    if label is not None:
        if "label" not in inputs:
            raise ValueError(f"--class={label}: {config.variant} has no classes")
        if not 0 <= label < config.n_classes:
            raise ValueError(
                f"--class={label}: {config.data} has 0 to {config.n_classes - 1}"
            )
        inputs["label"] = np.full_like(inputs["label"], label)
    if interpolate:
        ends = inputs["z"][:n], inputs["z"][n:]
        inputs = {name: x[:n].repeat(interpolate, 0) for name, x in inputs.items()}
        inputs["z"] = slerp(*ends, interpolate).reshape(inputs["z"].shape)
    return inputs


def config_of(folder: pathlib.Path):
    """Returns the config of a run; raises FileNotFoundError if there is none."""
    from experiments import config as configs

    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"--workdir={folder}: no run there (no config.json)")
    config = configs.from_json((folder / "config.json").read_text())
    configs.check(config)
    return config


def step_of(folder: pathlib.Path, checkpoint: str) -> int | None:
    """Returns the step of "best", "last" (None) or "STEP"; ValueError for the rest."""
    from experiments.rundir import manifest

    if checkpoint == "best":
        best = manifest.read(folder).get("best")
        if best is None:
            raise ValueError(
                f"--checkpoint=best: {folder} was not evaluated while it was trained"
            )
        return best["step"]
    if checkpoint != "last" and not checkpoint.isdigit():
        raise ValueError(f"--checkpoint={checkpoint}: wanted last, best or a step")
    return None if checkpoint == "last" else int(checkpoint)


def restore(gan, folder: pathlib.Path, step: int | None, *, recalibrate: bool = False):
    """Returns the state of a run's checkpoint, on the device; by default the last.

    With `recalibrate` the averaged generator gets batch statistics of its own, from 100
    passes of 256 samples (see `gans.averaging`).

    Raises FileNotFoundError if there is none, CheckpointError if it cannot be read.
    """
    import jax
    import jax.numpy as jnp

    from experiments.rundir.checkpoint import Checkpoints
    from gans import averaging, core

    template = jax.eval_shape(functools.partial(core.init, gan), jax.random.key(0))
    template = template.replace(frozen=core.frozen_variables(gan))
    restored = Checkpoints(folder, keep=None).restore(template, step)
    if restored is None:
        raise FileNotFoundError(f"--workdir={folder}: no checkpoint there yet")
    state = jax.device_put(restored[0])
    if not recalibrate:
        return state
    layers = [getattr(net.module, "layers", None) for net in gan.nets.values()]
    least = [found.n_reference for found in layers if found is not None]
    batch = max(256, *least)
    afresh = functools.partial(
        averaging.recalibrate, gan, n=100, examples=lambda i: {"": jnp.zeros((batch,))}
    )
    return jax.jit(afresh)(state, jax.random.key(0))


def _batches(sample, state, inputs, batch_size) -> Iterator[np.ndarray]:
    """Yields samples [b, ...]; one program makes them all, the smaller last one too."""
    import jax

    n = len(next(iter(inputs.values())))
    size = min(batch_size, n)
    sample = jax.jit(sample)
    # disable=None: at a terminal only
    with tqdm(total=n, unit=" samples", disable=None) as bar:
        for start in range(0, n, size):
            rows = np.minimum(np.arange(start, start + size), n - 1)
            batch = sample(state, {name: x[rows] for name, x in inputs.items()})
            keep = min(size, n - start)
            yield np.asarray(batch, np.float32)[:keep]
            bar.update(keep)


def _write_singly(folder, batches):
    from experiments.sampling import pictures

    count = 0
    for batch in batches:
        for image in batch:
            pictures.save_png(folder / f"{count:05d}.png", image)
            count += 1


def _draw(path, samples, config, columns):
    from experiments.sampling import pictures
    from gans import data

    if len(config.shape) == 3:
        pictures.save_png(path, pictures.grid(samples, columns))
    else:
        source = data.load(config.data)
        real = source.take(np.arange(2000))["point"]
        pictures.scatter(path, real, samples, source.modes)


def main(_):
    from experiments import process

    logging.set_verbosity(logging.WARNING)
    process.configure()
    process.compilation_cache()
    from experiments.rundir.checkpoint import CheckpointError

    values = flags.FLAGS
    try:
        out = write(
            values.workdir,
            n=values.n,
            out=values.out,
            label=values["class"].value,
            seed=values.seed,
            checkpoint=values.checkpoint,
            interpolate=values.interpolate,
            batch_size=values.batch_size,
            recalibrate=values.recalibrate,
        )
    except (ValueError, OSError, CheckpointError) as error:
        sys.exit(f"error: {error}")
    print(out)


if __name__ == "__main__":
    flags.DEFINE_string("workdir", None, "Folder of the run.", required=True)
    flags.DEFINE_integer("n", None, "Samples (64), or rows of an interpolation (8).")
    flags.DEFINE_string(
        "out", None, "x.png (a grid), x.npz (arrays) or a folder (single PNGs)."
    )
    flags.DEFINE_integer("class", None, "Class of the samples; all in turn by default.")
    flags.DEFINE_integer("seed", 0, "Seed of the latents.")
    flags.DEFINE_integer("checkpoint", None, "Step of the checkpoint; the last one.")
    flags.DEFINE_integer("interpolate", None, "Images in a row between two latents.")
    flags.DEFINE_integer("batch_size", 64, "Samples made at once.")
    flags.DEFINE_boolean("recalibrate", False, "Batch statistics of the average's own.")
    app.run(main)
