"""How far a generator's images are from moving and turning with its input.

EQ-T and EQ-R of arXiv 2106.12423, equations 9 and 10 and appendix E, in decibels: the
image of a moved or turned input against the moved or turned image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from experiments.evaluation.result import Result
from experiments.latent_space import generator
from gans.metrics.scores import equivariance

BATCH = 4  # images with the same motion
FARTHEST = 1 / 8  # of the side
Compared = Callable[[np.random.Generator, int], tuple[np.ndarray, Callable]]


def evaluator(
    name: str, gan: Any, setting: Any, output: str, compared: Compared
) -> Callable[[Any], dict[str, Result]]:
    """Returns the evaluator of a score.

    compared: (random numbers, side in pixels) -> (transform [3, 3] of the input,
    compare), and compare: (images [B, H, W, C], those of the transformed input) ->
    (images, images, mask [H, W]), two that are to be equal.

    Raises ValueError for samples that are not images, and a generator whose input
    cannot be moved.
    """
    field = setting.field(name, output, "image")
    try:
        generator.check_moves(gan)
    except ValueError as error:
        raise ValueError(f"{setting.place}: {name}: {error}") from None
    side, sampler = setting.spec[field].shape[0], setting.sampler(output)

    @jax.jit
    def to_images(state, z, label, transform):
        net = generator.bound(gan, state)
        ws = net(z, label, method="mapping")
        drawn = generator.drawn
        return drawn(net, ws, transform=np.eye(3)), drawn(net, ws, transform=transform)

    def evaluate(state):
        began, rng = time.perf_counter(), np.random.default_rng(0)
        n = max(setting.n // BATCH, 2) * BATCH
        z = np.asarray(sampler.inputs(jax.random.key(0), n)["z"])
        label = next(iter(setting.classes(output, n).values()), None)
        squares, known = [], []
        for start in range(0, n, BATCH):
            rows = slice(start, start + BATCH)
            transform, compare = compared(rng, side)
            classes = None if label is None else label[rows]
            images = to_images(state, z[rows], classes, transform.astype(np.float32))
            wanted, found, mask = compare(*(np.asarray(x, np.float64) for x in images))
            far = np.square(wanted - found) * mask[..., None]
            squares.append(far.sum())
            known.append(mask.sum() * far.shape[0] * far.shape[3])
        value = equivariance.decibels(sum(squares), sum(known))
        protocol = {
            "n": n,
            "motion": f"the same for {BATCH} images",
            "images": "float32, not clipped; noise stands",
            "seconds": time.perf_counter() - began,
        }
        error = _error(np.array(squares), np.array(known))
        return {name: Result(value, "higher", error, protocol)}

    return evaluate


def _error(squares, known):
    """The standard error of the decibels of a ratio of sums over batches."""
    ratio = squares.sum() / known.sum()
    rest = squares - ratio * known
    relative = np.sqrt((rest**2).sum()) / max(squares.sum(), 1e-300)
    return float(10 / np.log(10) * relative)


def translation(whole: bool) -> Compared:
    """Along both axes, up to an eighth of the side; by whole pixels, or by parts."""

    def compared(rng, side):
        x, y = rng.uniform(-FARTHEST, FARTHEST, 2)
        if whole:
            x, y = round(x * side) / side, round(y * side) / side
        move = equivariance.moved if whole else equivariance.moved_by_parts

        def compare(images, of_moved):
            wanted, mask = move(images, x, y)
            return wanted, of_moved, mask

        return equivariance.translation(-x, -y), compare

    return compared


def rotation(rng: np.random.Generator, side: int) -> tuple[np.ndarray, Callable]:
    """By any angle; the images of turned input lose what turning an image loses."""
    angle = rng.uniform(-np.pi, np.pi)

    def compare(images, of_turned):
        wanted, mask = equivariance.turned(images, angle)
        found, other = equivariance.filtered_for_turn(of_turned, angle)
        return wanted, found, mask & other

    return equivariance.rotation(-angle), compare
