"""Volumes of voxels: read from binvox and meshes, turned upright, fitted to a cube."""

from __future__ import annotations

import os

import numpy as np

from gans.data import values

MESHES = (".obj", ".off", ".stl")
ENDINGS = (".binvox", ".npy", *MESHES)
# What usually points up in files of these endings; None: axes are D, H and W already.
UP = {".binvox": "y", ".obj": "y", ".off": "z", ".stl": "z", ".npy": None}
# By what points up in a volume [X, Y, Z]: the axes that become D, H (down) and W, of
# which those with True are reversed. All are rotations: nothing is mirrored.
TURNS = {
    "x": ((2, False), (0, True), (1, False)),
    "-x": ((2, True), (0, False), (1, False)),
    "y": ((2, True), (1, True), (0, False)),
    "-y": ((2, False), (1, False), (0, False)),
    "z": ((1, False), (2, True), (0, False)),
    "-z": ((1, True), (2, False), (0, False)),
}


def upright(x: np.ndarray, up: str | None) -> np.ndarray:
    """Returns volumes [..., X, Y, Z] as [..., D, H, W], with `up` against H.

    up: a key of TURNS; None: they are [..., D, H, W] already.
    """
    if up is None:
        return x
    turn = TURNS[up]
    lead = tuple(range(x.ndim - 3))
    x = x.transpose(*lead, *(x.ndim - 3 + axis for axis, _ in turn))
    return x[..., *(slice(None, None, -1 if back else 1) for _, back in turn)]


def fit(x: np.ndarray, side: int) -> np.ndarray:
    """Returns volumes uint8 [..., D, H, W] in a cube of that side: [..., R, R, R].

    Smaller ones get empty voxels around them. If the longest side is a multiple of
    `side`, blocks become one voxel, the largest of theirs.

    Raises ValueError for other larger ones.
    """
    longest = max(x.shape[-3:])
    factor = longest // side if longest % side == 0 else 1
    if longest > side * factor:
        shape = "x".join(map(str, x.shape[-3:]))
        raise ValueError(
            f"voxels of {shape} do not fit into resolution={side}; accepted are "
            f"{longest} and more, and what divides {longest}"
        )
    missing = [side * factor - n for n in x.shape[-3:]]
    pads = [(0, 0)] * (x.ndim - 3) + [(n // 2, n - n // 2) for n in missing]
    x = np.ascontiguousarray(np.pad(x, pads))
    if factor == 1:
        return x
    x = x.reshape(*x.shape[:-3], side, factor, side, factor, side, factor)
    return x.max((-5, -3, -1))


def read(path: str, side: int | None, *, up: str | None, fill: bool) -> np.ndarray:
    """Returns the volume in a file, uint8 [D, H, W], 0 or 255 (of .npy: its values).

    Args:
      path: ends in one of ENDINGS.
      side: voxels along the longest side of a mesh; others have a size of their own.
      up: see `upright`; None: what is usual in such files, `UP`.
      fill: whether what is enclosed by the surface of a mesh is occupied, too.

    Raises ValueError for a file that is not of the format, and where meshes need the
    package trimesh, which is not installed.
    """
    ending = os.path.splitext(path)[1].lower()
    up = up or UP[ending]
    if ending == ".npy":
        x = np.load(path, allow_pickle=False)
        if x.ndim == 4 and x.shape[-1] == 1:
            x = x[..., 0]
        if x.ndim != 3 or not x.size:
            raise ValueError(f"shape {x.shape}; wanted one volume [D, H, W]")
        return upright(values.to_bytes(x[None])[0], up)
    occupied = _binvox(path) if ending == ".binvox" else _mesh(path, side, fill)
    return upright(occupied.astype(np.uint8) * 255, up)


def trimesh():
    """Returns the package that reads and writes meshes.

    Raises ValueError, saying how to install it, where it is missing.
    """
    try:
        import trimesh
    except ImportError:
        raise ValueError(
            "meshes need the packages trimesh and scikit-image: "
            "pip install jax-gans[meshes]"
        ) from None
    return trimesh


def _binvox(path: str) -> np.ndarray:
    """Of P. Min's format: bool [X, Y, Z], by runs along Y, then Z, then X."""
    with open(path, "rb") as file:
        if not file.readline().startswith(b"#binvox"):
            raise ValueError("it is not a binvox file")
        shape = None
        while (line := file.readline().strip()) != b"data":
            if not line:
                raise ValueError("its header has no line 'data'")
            if line.startswith(b"dim"):
                shape = tuple(map(int, line.split()[1:]))
        runs = np.frombuffer(file.read(), np.uint8)
    if shape is None or len(shape) != 3 or len(runs) % 2:
        raise ValueError("its header or its data are cut off")
    x = runs[::2].repeat(runs[1::2]) > 0
    if x.size != np.prod(shape):
        raise ValueError(f"it holds {x.size} voxels; its header says {shape}")
    return x.reshape(shape).transpose(0, 2, 1)


def _mesh(path: str, side: int, fill: bool) -> np.ndarray:
    """A surface as bool [side, side, side], as large as it fits, in the middle."""
    from scipy import ndimage

    mesh = trimesh().load(path, force="mesh")
    if not len(getattr(mesh, "faces", ())):
        raise ValueError("it holds no faces")
    low, high = mesh.bounds
    scale = (side - 1) / max((high - low).max(), 1e-12)
    mesh.vertices = (mesh.vertices - (low + high) / 2) * scale + (side - 1) / 2
    places = np.rint(mesh.voxelized(1.0).points).astype(int).clip(0, side - 1)
    x = np.zeros((side,) * 3, bool)
    x[tuple(places.T)] = True
    return ndimage.binary_fill_holes(x) if fill else x
