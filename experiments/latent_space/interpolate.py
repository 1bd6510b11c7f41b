"""A walk from point to point of W and back to the first, as an animation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.interpolate import CubicSpline
from tqdm import tqdm

from experiments import origin
from experiments.latent_space import outputs, points
from experiments.latent_space.generator import BATCH, Styled
from experiments.sampling import animation, asked, pictures
from experiments.sampling.interpolation import between
from gans import names
from gans.data.kinds.image import encode

SEEDS, FRAMES, FPS, PATH = "0-5", 48, 24, "spline"
PATHS = ("spline", "line", "sphere")


def run(
    workdir: str,
    *,
    out: str,
    checkpoint: str | int | None = None,
    seeds: str = SEEDS,
    frames: int = FRAMES,
    path: str = PATH,
    label: str | None = None,
    truncation: float | None = None,
    fps: float = FPS,
) -> str:
    """Writes a walk through points, and back to the first; returns where it is.

    Args:
      out: x.gif, x.webp or x.mp4; x.png: a strip, a row from each point to the next.
      seeds: two points or more, see `points.read`.
      frames: from each point to the next.
      path: in W a cubic spline through all points, "spline", which has no corners, or
        straight lines, "line"; "sphere": great circles of Z, of seeds of one class.
      label, truncation: of samples, see `points.read`.
      fps: frames a second.

    Raises ValueError or OSError for what is wrong in them.
    """
    suffix = outputs.check(out, (*animation.SUFFIXES, ".png"))
    names.check(path, PATHS, "--path")
    if frames < 2:
        raise ValueError(f"--frames={frames}: wanted at least 2")
    if not 1 <= fps <= 60:
        raise ValueError(f"--fps={fps:g}: wanted 1 to 60")
    styled = Styled.load(workdir, checkpoint)
    if path == "sphere":
        ws = _sphere(styled, seeds, frames, label)
        ws = styled.truncated(ws, truncation)
    else:
        given = {"label": label, "truncation": truncation}
        keys = np.stack([x.ws for x in points.read(seeds, styled, **given)])
        _check_several(keys, seeds)
        ws = {"spline": spline, "line": lines}[path](keys, frames)
    made = outputs.made(out)
    with origin.noted(**styled.model.origin(), seed=seeds):
        if suffix == ".png":
            tiles = pictures.grid(styled.images(ws), columns=frames)
            pictures.save_png(made, tiles)
        else:
            animation.save(made, _frames(styled, ws), fps=fps)
    return out


def _check_several(keys, text):
    if len(keys) < 2:
        raise ValueError(f"--seeds={text}: a walk needs two points at least")


def lines(keys: np.ndarray, n: int) -> np.ndarray:
    """Returns K n points [K n, ...] on straight lines through keys [K, ...], closed."""
    t = np.linspace(0, 1, n, endpoint=False).reshape(-1, *[1] * (keys.ndim - 1))
    pairs = zip(keys, np.roll(keys, -1, axis=0), strict=True)
    return np.concatenate([a + t * (b - a) for a, b in pairs]).astype(keys.dtype)


def spline(keys: np.ndarray, n: int) -> np.ndarray:
    """Returns K n points [K n, ...] on the closed cubic spline through keys [K, ...].

    Its first and second derivatives are continuous, at the first point too.
    """
    closed = np.concatenate([keys, keys[:1]])
    curve = CubicSpline(np.arange(len(closed)), closed, bc_type="periodic")
    return curve(np.arange(len(keys) * n) / n).astype(keys.dtype)


def _sphere(styled, text, n, label):
    """The latents [K n, n_ws, w_dim] of great circles in Z between the seeds."""
    if ".npz" in text:
        raise ValueError(
            f"--seeds={text}: projected pictures have no z; --path=line and "
            "--path=spline are in W"
        )
    found = asked.seeds(text, "--seeds")
    _check_several(found, text)
    label = asked.classes(styled.model.spec, label)
    if isinstance(label, list) and len(label) > 1:
        raise ValueError("--path=sphere takes one class; --path=line takes several")
    inputs = [styled.model.inputs(1, seed=seed, label=label) for seed in found]
    z = np.concatenate([x["z"] for x in inputs])
    z = between(z, np.roll(z, -1, axis=0), n + 1)[:, :-1].reshape(-1, z.shape[1])
    return styled.map(z, inputs[0].get(styled.label))


def _frames(styled, ws) -> Iterator[np.ndarray]:
    starts = range(0, len(ws), BATCH)
    # disable=None: at a terminal only
    for start in tqdm(starts, unit=" batches", disable=None):
        n = min(BATCH, len(ws) - start)
        rows = np.minimum(np.arange(start, start + BATCH), len(ws) - 1)
        for image in encode(styled.images(ws[rows])[:n]):
            yield animation.enlarged(image)
