"""What a model does for a client: an output as a program that runs many requests."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image

from experiments.sampling.model import Model
from experiments.sampling.sampler import Arrays
from experiments.service.asked import PICTURES, Asked, Invalid, Limits, Upload
from experiments.translation import picture
from experiments.translation.translator import key_of
from gans.data.spec import Spec

_UPLOADED = ("PNG", "JPEG", "WEBP")  # formats that are read
MEDIA = tuple(f"image/{name.lower()}" for name in _UPLOADED)


class Samples(NamedTuple):
    """What was made: {field: [n, ...]}, decoded, and the seed and index of each."""

    fields: Arrays
    seeds: list[int]
    indices: list[int]


class _Rows(NamedTuple):
    inputs: Arrays  # {name: [n, ...]}
    keys: np.ndarray  # [n, ...], the data of keys


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """An output that is made of latents, or of examples that are given as numbers.

    Args:
      model: whose output it is.
      output: its name.
      sizes: of the batches for which programs are compiled, in order.
      limits: of a request.
      programs: of another state of the same model, which are used again.
    """

    model: Model
    output: str
    sizes: tuple[int, ...]
    limits: Limits
    programs: dict[int, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        for size in self.sizes:
            if size not in self.programs:
                self.programs[size] = self.model.program(self.output, size)
            self._run(self._fixed(size))  # the first call of each takes longer
        self._keys(0, self.limits.n)

    uploads = False

    @property
    def most(self) -> int:
        """Rows of the largest batch."""
        return self.sizes[-1]

    @property
    def spec(self) -> Spec:
        """Of the model's data."""
        return self.model.spec

    @functools.cached_property
    def _known(self):
        schema = self.model.schema(self.output)
        latents = [
            name
            for name, x in schema["inputs"].items()
            if "kind" not in x and len(x["shape"]) == 2 and x["dtype"] == "float32"
        ]
        return schema | {"latents": latents[0] if len(latents) == 1 else None}

    def schema(self) -> dict[str, Any]:
        """Returns what it takes and makes, as JSON, see `Model.schema`.

        `latents` is the only input that is latents [n, size], or None.
        """
        return self._known

    def prepared(self, asked: Asked) -> tuple[list[tuple[_Rows, int]], Samples]:
        """Returns payloads with their rows, and samples that hold no fields yet.

        Raises Invalid for what the model does not take.
        """
        parts, seeds, indices = [], [], []
        for seed in asked.seeds:
            inputs, n = self._inputs(asked, seed)
            data = self._keys(seed, self.limits.n)
            for start in range(0, n, self.most):
                rows = slice(start, min(start + self.most, n))
                one = {name: x[rows] for name, x in inputs.items()}
                parts.append((_Rows(one, data[rows]), rows.stop - rows.start))
            seeds += [seed] * n
            indices += range(n)
        return parts, Samples({}, seeds, indices)

    def __call__(self, payloads: Sequence[_Rows]) -> list[Arrays]:
        """Runs payloads together, in the smallest program that takes them all."""
        first = payloads[0]
        together = first
        if len(payloads) > 1:
            together = _Rows(
                {
                    name: np.concatenate([x.inputs[name] for x in payloads])
                    for name in first.inputs
                },
                np.concatenate([x.keys for x in payloads]),
            )
        made, start, results = self._run(together), 0, []
        for payload in payloads:
            stop = start + len(payload.keys)
            results.append({name: x[start:stop] for name, x in made.items()})
            start = stop
        return results

    def canary(self) -> Arrays:
        """Returns fixed samples, {field: [n, ...]}, of the smallest batch."""
        return self._run(self._fixed(self.sizes[0]))

    def _fixed(self, n):
        """Inputs of seed 0; examples that it is made of are zeros."""
        given = {
            name: np.zeros((n, *x["shape"][1:]), x["dtype"])
            for name, x in self._known["inputs"].items()
            if name in self._known["made_of"]
        }
        inputs = self.model.inputs(n, seed=0, output=self.output, given=given or None)
        return _Rows(inputs, self._keys(0, n))

    def _run(self, rows):
        n = len(rows.keys)
        size = next(size for size in self.sizes if size >= n)
        # Filled up here, so that nothing is compiled for the number of rows.
        places = np.minimum(np.arange(size), n - 1)
        inputs = {name: x[places] for name, x in rows.inputs.items()}
        keys = jax.random.wrap_key_data(rows.keys[places])
        return self.programs[size](inputs, keys, self.model.state)

    def _keys(self, seed, n):
        """The data of the keys of samples 0 to n - 1; any, if nothing is drawn."""
        if not self._known["draws"]:
            return np.repeat(self._no_key, n, axis=0)
        return np.asarray(jax.random.key_data(self.model.keys(seed, range(n))))

    @functools.cached_property
    def _no_key(self):
        return np.asarray(jax.random.key_data(self.model.keys(0, [0])))

    def _inputs(self, asked, seed):
        try:
            given = None
            if asked.given is not None:
                given = {name: _array(name, x) for name, x in asked.given.items()}
            elif asked.text is None and (made_of := self._known["made_of"]):
                raise Invalid(f"given: this output is made of {', '.join(made_of)}")
            n = asked.n or 1
            if asked.latents is not None:
                n = len(asked.latents)
            if given is not None:
                n = len(next(iter(given.values()), ()))
            inputs = self.model.inputs(
                n,
                seed=seed,
                label=asked.label,
                truncation=asked.truncation,
                output=self.output,
                given=given,
                text=asked.text,
            )
        except (ValueError, OverflowError) as error:
            raise Invalid(str(error)) from None
        if asked.latents is not None:
            name = self._known["latents"]
            if name is None:
                raise Invalid("latents: this output takes none")
            wanted = inputs[name].shape
            found = {len(x) for x in asked.latents}
            if found != {wanted[1]}:
                raise Invalid(
                    f"latents: got lengths {sorted(found)[:3]}; wanted {wanted[1]}"
                )
            values = np.asarray(asked.latents, np.float64)
            if np.abs(values).max() > np.finfo(np.float32).max:
                raise Invalid("latents: some are too large for 32 bits")
            inputs[name] = values.astype(inputs[name].dtype)
        return inputs, n


@dataclasses.dataclass(frozen=True, eq=False)
class Translated:
    """An output that makes a picture of a picture, of any size: one at a time.

    Its results are those of `Model.translate`.
    """

    model: Model
    output: str
    limits: Limits

    uploads = True
    most = 1

    def __post_init__(self):
        self.canary()  # compiles it

    @property
    def _translator(self):
        return self.model.translator(self.output)

    @property
    def spec(self) -> Spec:
        """Of the model's data."""
        return self.model.spec

    def schema(self) -> dict[str, Any]:
        """Returns what it takes and makes, as JSON."""
        translator = self._translator
        return {
            "output": self.output,
            "upload": list(MEDIA),
            "makes": {translator.made: {"kind": "image"}},
            "random": translator.random,
            "scale": translator.scale,
        }

    def prepared(self, content: bytes, upload: Upload) -> tuple[list, Samples]:
        """Returns payloads with their rows, and samples that hold no fields yet.

        Raises Invalid for a file that is not such a picture.
        """
        pixels = opened(content, self._translator.channels, self.limits.pixels)
        return [((pixels, upload.seed), 1)], Samples({}, [upload.seed], [0])

    def canary(self) -> Arrays:
        """Returns what it makes of a fixed picture, {field: [1, H, W, C]}."""
        translator = self._translator
        sides = self.model.spec[translator.given].shape[:2]
        shape = (*sides, translator.channels)
        picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        return self([(picture, 0)])[0]

    def __call__(self, payloads: Sequence[tuple[np.ndarray, int]]) -> list[Arrays]:
        """Runs payloads: pictures, uint8 [H, W, C], and their seeds."""
        translator = self._translator
        return [
            {translator.made: translator(pixels, key_of(seed, "0"))[None]}
            for pixels, seed in payloads
        ]


Output = Drawn | Translated


def opened(content: bytes, channels: int, most: int) -> np.ndarray:
    """Returns the picture of a file, uint8 [H, W, channels]; it has at most so many
    pixels.

    Raises Invalid for another. Its sides are read before anything is decoded.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_UPLOADED) as image:
            width, height = image.size
            frames = getattr(image, "n_frames", 1)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Invalid(
            f"the picture is too large; accepted are {most} pixels", 413
        ) from None
    except Exception:  # Pillow has a dozen kinds for damaged files
        accepted = "PNG, JPEG or WebP"
        raise Invalid(f"the file is no picture that can be read: {accepted}") from None
    if width * height > most:
        raise Invalid(
            f"the picture has {width} x {height} pixels; accepted are {most}", 413
        )
    if frames > 1:
        raise Invalid(f"the picture has {frames} frames; accepted is 1")
    try:
        return picture.read(content, channels).pixels
    except ValueError as error:
        said = " ".join(str(error).split())[:200]
        raise Invalid(f"the picture cannot be read: {said}") from None


def _array(name, values):
    """Numbers of JSON as an array; Invalid for anything else in the lists."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.empty(0, object)
    if found.dtype.kind not in "if" or not found.size:
        raise Invalid(f"given: {name}: wanted lists of numbers, all of one length")
    return found.astype(np.float32 if found.dtype.kind == "f" else np.int64)


def outputs_of(
    model: Model, sizes: Sequence[int], limits: Limits, before: dict | None = None
) -> dict[str, Output]:
    """Returns all that a model does for clients, {name: output}, compiled.

    before: those of another checkpoint of the same model, whose programs are used.
    """
    found: dict[str, Output] = {}
    for name in model.outputs:
        try:
            model.translator(name)
        except ValueError:
            programs = before[name].programs if before else {}
            found[name] = Drawn(model, name, tuple(sizes), limits, programs)
        else:
            found[name] = Translated(model, name, limits)
    return found


def formats(output: Output) -> tuple[str, ...]:
    """Returns the formats in which samples of an output can be sent."""
    makes = output.schema()["makes"]
    image = any(x.get("kind") == "image" for x in makes.values())
    return (*(PICTURES if image else ()), "npz", "json")
