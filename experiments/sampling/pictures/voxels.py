"""Voxels [n, D, H, W, C]: shaded surfaces, a turntable, and meshes of them."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from experiments.sampling import meshes, pictures

PLURAL = "Voxels"
N, GRID, SOURCE = 16, True, False
SUFFIX = ".obj"
TILE = 96  # pixels
YAW, PITCH = 30.0, 25.0  # degrees: seen from the right, and from above
N_FRAMES = 36  # of one turn
BACKGROUND, COLOUR = 1.0, np.array([0.78, 0.87, 1.0])
LIGHT = np.array([-0.5, -0.7, -0.5]) / np.sqrt(0.99)  # from the front, above, the left


def draw(
    path: str | os.PathLike,
    examples: np.ndarray,
    *,
    name: str = "voxels",
    beside: Sequence[np.ndarray] = (),
    source: Any = None,
    columns: int | None = None,
) -> np.ndarray:
    """Draws the surface of each example, seen from the front, the right and above."""
    views = pictures.side_by_side([rendered(x) for x in (*beside, examples)])
    each = len(beside) + 1
    columns = columns * each if columns else pictures.columns_of(len(examples), each)
    picture = pictures.grid(views, columns)
    pictures.save_png(path, picture)
    return picture


def frames(examples: np.ndarray, columns: int | None = None) -> Iterator[np.ndarray]:
    """Yields the frames of one turn about the height: uint8 [h, w, 3]."""
    for yaw in np.arange(N_FRAMES) * 360 / N_FRAMES:
        yield pictures.grid(rendered(examples, YAW + yaw), columns)


def single(path: str | os.PathLike, example: np.ndarray) -> None:
    """Saves the surface of one example [D, H, W, C] as a mesh, by the path's ending."""
    save(path, example[None])


def save(path: str | os.PathLike, examples: np.ndarray) -> None:
    """Saves the surfaces of examples [n, D, H, W, C], side by side, as one mesh."""
    meshes.save(path, [_occupied(x) for x in examples])


def rendered(x: np.ndarray, yaw: float = YAW, pitch: float = PITCH) -> np.ndarray:
    """Volumes [n, D, H, W, C] in [-1, 1] as pictures [n, TILE, TILE, 3] in [-1, 1].

    Parallel rays meet the surface at half occupancy, which Lambert's law shades; what
    is farther is darker. yaw, pitch: in degrees, from where it is seen.
    """
    return np.stack([_rendered(_occupied(one), yaw, pitch) for one in x])


def _occupied(x):
    """[D, H, W] in [0, 1], of all channels together."""
    return (
        np.nan_to_num(np.asarray(x, np.float32), nan=-1).clip(-1, 1).max(-1) + 1
    ) / 2


@functools.cache
def _rays(side: int, yaw: float, pitch: float):
    """Where rays go: (origins [3, P, P], direction [3], lengths [S], axes [3, 3])."""
    a, b = np.radians([yaw, pitch])
    turn = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    tilt = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    # Columns: what is ahead, below and to the right of the eye, as (d, h, w).
    axes = turn @ tilt
    reach = side * 0.66
    pixels = (np.arange(TILE) + 0.5) / TILE * 2 * reach - reach
    down, right = np.meshgrid(pixels, pixels, indexing="ij")
    origins = axes[:, 1, None, None] * down + axes[:, 2, None, None] * right
    lengths = np.arange(-reach, reach, 0.5)
    return origins, axes[:, 0], lengths, axes


def _rendered(x, yaw, pitch):
    side = max(x.shape)
    origins, ahead, lengths, axes = _rays(side, float(yaw), float(pitch))
    middle = (np.array(x.shape) - 1) / 2
    smooth = ndimage.gaussian_filter(np.pad(x, 2), 0.45)
    middle = middle + 2
    # [S, 3, P, P]: half a voxel apart along each ray.
    places = (
        origins[None]
        + ahead[None, :, None, None] * lengths[:, None, None, None]
        + middle[None, :, None, None]
    )
    values = ndimage.map_coordinates(
        smooth, places.swapaxes(0, 1), order=1, mode="constant"
    )
    most = values.max(0)
    hit = (values >= 0.5).argmax(0)  # the first sample inside, 0 without any
    rows = np.indices(hit.shape)
    inside, outside = values[hit, *rows], values[np.maximum(hit - 1, 0), *rows]
    back = np.clip((inside - 0.5) / np.maximum(inside - outside, 1e-6), 0, 1)
    depth = lengths[hit] - 0.5 * back
    at = origins + ahead[:, None, None] * depth + middle[:, None, None]
    normal = np.stack(
        [ndimage.map_coordinates(g, at, order=1) for g in np.gradient(smooth)]
    )
    normal = -normal / np.maximum(np.linalg.norm(normal, axis=0), 1e-6)
    light = axes @ LIGHT
    lit = np.maximum(np.tensordot(light, normal, 1), 0)
    far = 1 - 0.2 * (depth - lengths[0]) / (lengths[-1] - lengths[0])
    shade = ((0.45 + 0.55 * lit) * far)[..., None] * COLOUR
    # Rays that nearly touch the surface are at its edge.
    cover = np.clip((most - 0.35) / 0.3, 0, 1)[..., None]
    cover = np.where((most >= 0.5)[..., None], np.maximum(cover, 0.5), 0)
    return 2 * (cover * shade + (1 - cover) * BACKGROUND) - 1
