"""Samples as the bytes of an answer."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments import origin
from experiments.origin import files
from experiments.sampling import pictures
from experiments.service.asked import Invalid
from experiments.service.outputs import Samples
from gans.data import kinds
from gans.data.kinds.image import encode, opaque
from gans.data.spec import Spec

_OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"compress_level": 1},
    "webp": {"lossless": True},
    "jpeg": {"quality": 95, "subsampling": 0},
}
MEDIA = {name: f"image/{name}" for name in _OPTIONS} | {
    "npz": "application/octet-stream",
    "json": "application/json",
}


def encoded(
    samples: Samples,
    spec: Spec,
    form: str | None,
    known: dict[str, Any],
    of: Mapping[str, str],
) -> tuple[bytes, str]:
    """Returns the bytes of an answer, and their media type.

    A picture of one sample has its pixels; of several it is a grid, as `sample` draws.

    Args:
      spec: of the data.
      form: png, webp, jpeg, npz or json; None: png of images, json of anything else.
      known: what JSON also says.
      of: what pictures say of their origin, beside the seed and the index.

    Raises Invalid for a format that these samples do not have.
    """
    image = next(
        (x for x in samples.fields if x in spec and spec[x].kind == "image"), None
    )
    form = form or ("json" if image is None else "png")
    if form == "npz":
        return _npz(samples, spec), MEDIA[form]
    if form == "json":
        return _json(samples, spec, known, of), MEDIA[form]
    if image is None:
        raise Invalid(
            f"format: {form}: this output makes no image; accepted are npz, json"
        )
    made, seeds = samples.fields[image], {*samples.seeds}
    more = {"seed": seeds.pop()} if len(seeds) == 1 else {}
    if len(made) == 1:
        pixels, more = encode(made[0]), {**more, "index": samples.indices[0]}
    else:
        pixels = pictures.grid(made)
    with origin.noted(**of, **more):
        return picture(pixels, form), MEDIA[form]


def picture(pixels: np.ndarray, form: str) -> bytes:
    """Returns the file of a picture, uint8 [H, W, C]; JPEG has no opacity.

    It says what is `origin.noted`.
    """
    if form == "jpeg" or pixels.shape[-1] == 2:
        pixels = opaque(pixels)
    return files.encoded(pixels, form.upper(), **_OPTIONS[form])


def _npz(samples, spec):
    """The fields as the data store them, as in `sample --out=x.npz`."""
    file = io.BytesIO()
    arrays = {
        name: kinds.of(spec[name]).encode(x) if name in spec else x
        for name, x in samples.fields.items()
    }
    np.savez(file, **arrays, seed=samples.seeds, index=samples.indices)
    return file.getvalue()


def _json(samples, spec, known, of):
    """Each sample with its seed and index; images in base64, classes by their names."""
    each = []
    for i, (seed, index) in enumerate(zip(samples.seeds, samples.indices, strict=True)):
        one: dict[str, Any] = {"seed": seed, "index": index}
        with origin.noted(**of, seed=seed, index=index):
            for name, x in samples.fields.items():
                one[name] = _value(x[i], spec.get(name))
        each.append(one)
    return json.dumps({**known, "samples": each}, allow_nan=False).encode()


def _value(x, field):
    if field is None:
        return np.asarray(x).tolist()
    if field.kind == "image":
        return base64.b64encode(picture(encode(x), "png")).decode()
    if field.kind == "label":
        return field.names[int(x)] if field.names else int(x)
    return np.asarray(kinds.of(field).encode(x)).tolist()
