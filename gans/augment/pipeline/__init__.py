"""The augmentation pipeline of ADA (arXiv 2006.06676, appendix B), as pure functions.

    strengths = pipeline.parse("bgc", "transforms")
    draws = pipeline.draw(key, strengths, x.shape)
    y = pipeline.apply(x, draws, strengths, p)

`draw` makes all random numbers and `apply` none. In the order of the pipeline: one
affine map of the image (`geometry`), one of its colours (`colour`), a filter (`bands`),
noise and cutout (`corruption`).
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from gans import names
from gans.augment.pipeline import bands, colour, corruption, geometry
from gans.augment.pipeline.transform import normal, uniform
from gans.sharding import split

TRANSFORMS = (
    geometry.TRANSFORMS | colour.TRANSFORMS | bands.TRANSFORMS | corruption.TRANSFORMS
)
# Names of several transformations, and "rotate", which is done twice.
GROUPS = {
    "rotate": ("rotate_before", "rotate_after"),
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate_before", "aniso", "rotate_after", "xfrac"),
    "color": tuple(colour.TRANSFORMS),
    "filter": ("imgfilter",),
}
GROUPS["bg"] = GROUPS["blit"] + GROUPS["geom"]
for _name, _more in (("bgc", "color"), ("bgcf", "filter")):
    GROUPS[_name] = GROUPS[_name[:-1]] + GROUPS[_more]
GROUPS["bgcfn"] = (*GROUPS["bgcf"], "noise")
GROUPS["bgcfnc"] = (*GROUPS["bgcfn"], "cutout")
NAMES = sorted({*GROUPS, *TRANSFORMS} - set(GROUPS["rotate"]))

# (values [B, ...], coins [B, ...]) of each, and under "pixels" noise [B, H, W, C].
Draws = dict[str, Any]


def parse(transforms: str, place: str) -> dict[str, float]:
    """{transformation: strength} of names joined by "+": "bg+0.5*color+cutout".

    A name is that of a group or of a transformation. Its probability is the strength, 1
    unless given, times p. Raises ValueError, naming `place`, for another name, for one
    twice, and for a strength outside (0, 1].
    """
    found = {}
    for part in transforms.split("+"):
        by, star, name = part.rpartition("*")
        name = name.strip()
        names.check(name, NAMES, place)
        try:
            strength = float(by) if star else 1.0
        except ValueError:
            strength = 0.0
        if not 0 < strength <= 1:
            raise ValueError(f"{place}: {part.strip()!r}: {by!r} must be in (0, 1]")
        for one in GROUPS.get(name, (name,)):
            if one in found:
                raise ValueError(f"{place}: {transforms!r} has {name!r} twice")
            found[one] = strength
    return found


def check(strengths: Mapping[str, float], shape: tuple[int, ...], place: str) -> None:
    """Raises ValueError, naming `place`, for images [H, W, C] that are not enough.

    The filter looks 21 pixels ahead into the reflection; colours are grey or three.
    """
    *sides, channels = shape
    for name in strengths:
        least = bands.REACH + 1 if name in bands.TRANSFORMS else 2
        if name in bands.TRANSFORMS | geometry.TRANSFORMS and min(sides) < least:
            raise ValueError(
                f"{place}: {name} is for images of at least {least}x{least} pixels, "
                f"got {sides[1]}x{sides[0]}"
            )
        if name in colour.TRANSFORMS and channels not in colour.CHANNELS:
            raise ValueError(
                f"{place}: {name} is for images of 1 or 3 channels, got {channels}"
            )


def draw(
    key: Array,
    strengths: Mapping[str, float],
    shape: tuple[int, ...],
    dtype: Any = jnp.float32,
) -> Draws:
    """All random numbers of the transformations, for images of shape [B, H, W, C]."""
    key_coins, key_uniform, key_normal, key_noise = jax.random.split(key, 4)
    used = {name: TRANSFORMS[name] for name in strengths}
    coins = _drawn(
        uniform, key_coins, {x: t.coins for x, t in used.items()}, shape[0], dtype
    )
    values = {}
    for of, key_values in (uniform, key_uniform), (normal, key_normal):
        shapes = {name: t.shape for name, t in used.items() if t.draw is of}
        values |= _drawn(of, key_values, shapes, shape[0], dtype)
    draws = {name: (values[name], coins[name]) for name in used}
    if "noise" in used:
        draws["pixels"] = split(normal(key_noise, shape, dtype))
    return draws


def _drawn(draw, key, shapes, n, dtype):
    """{name: numbers [n, *shape]}, in one call, which compiles sooner than many."""
    sizes = [math.prod(shape) for shape in shapes.values()]
    every = split(draw(key, (n, sum(sizes)), dtype))
    parts = jnp.split(every, np.cumsum(sizes)[:-1], axis=1) if sizes else ()
    return {
        name: part.reshape(n, *shapes[name])
        for name, part in zip(shapes, parts, strict=True)
    }


def apply(
    x: Array, draws: Draws, strengths: Mapping[str, float], p: Array | float
) -> Array:
    """x [B, H, W, C] in [-1, 1], transformed with probability p [] -> the same shape.

    Each transformation is done to an image where its coin is below its strength times
    p; p = 0 leaves all as they are, but for rounding. Colours may leave the range.
    Without geometric transformations nothing is resampled.
    """
    values = {name: draws[name][0] for name in strengths}
    fired = {
        name: draws[name][1] < TRANSFORMS[name].chance(strength * p)
        for name, strength in strengths.items()
    }
    if values.keys() & geometry.TRANSFORMS:
        x = geometry.resample(x, geometry.inverse(values, fired, *x.shape[1:3]))
    if values.keys() & colour.TRANSFORMS:
        x = colour.recolour(x, colour.matrix(values, fired))
    if "imgfilter" in values:
        x = bands.amplify(x, bands.gains(values["imgfilter"], fired["imgfilter"]))
    if "noise" in values:
        sigma = jnp.where(fired["noise"], TRANSFORMS["noise"].made(values["noise"]), 0)
        x = corruption.add_noise(x, sigma, draws["pixels"])
    if "cutout" in values:
        side = jnp.where(fired["cutout"], corruption.SIDE, 0)
        x = corruption.cut(x, values["cutout"], side)
    return x
