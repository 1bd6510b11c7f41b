"""Surfaces of volumes as meshes, in OBJ, STL or GLB."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from experiments.files import replacing
from gans.data import volumes

SUFFIXES = (".obj", ".stl", ".glb")
GAP = 1.2  # sides, from one volume to the next


def save(path: str | os.PathLike, occupied: list[np.ndarray]) -> None:
    """Writes the surfaces of volumes [D, H, W] in [0, 1], side by side, as one mesh.

    They are where the occupancy is half, by marching cubes. Volumes have a height of
    1; x is right, y up and z towards the viewer, as in glTF.

    Raises ValueError where nothing is occupied, and without the extra `meshes`.
    """
    trimesh, marching_cubes = volumes.trimesh(), _marching_cubes()
    columns, parts = math.ceil(math.sqrt(len(occupied))), []
    for i, x in enumerate(occupied):
        if not (x > 0.5).any():
            continue
        places, faces, *_ = marching_cubes(np.pad(x, 1), 0.5)
        d, h, w = (places - (np.array(x.shape) + 1) / 2).T / max(x.shape)
        row, column = divmod(i, columns)
        corners = np.stack([w + GAP * column, -h - GAP * row, -d], 1)
        parts.append(trimesh.Trimesh(corners, faces, process=False))
    if not parts:
        raise ValueError(f"{path}: nothing is occupied, so there is no surface")
    mesh = trimesh.util.concatenate(parts)
    with replacing(path) as temporary:
        suffix = Path(path).suffix[1:]
        content = mesh.export(file_type=suffix)
        content = content.encode() if isinstance(content, str) else content
        Path(temporary).write_bytes(content)


def _marching_cubes():
    try:
        from skimage.measure import marching_cubes
    except ImportError:
        volumes.trimesh()
        raise ValueError(
            "meshes need the package scikit-image: pip install jax-gans[meshes]"
        ) from None
    return marching_cubes
