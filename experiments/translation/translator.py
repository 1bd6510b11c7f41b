"""Pictures of any size through an output of a model that makes pictures of pictures."""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from PIL import Image

from experiments.sampling.sampler import Sampler
from experiments.translation import tiles
from gans import core, data, names
from gans.data.kinds import image as images
from gans.data.source import InMemory
from gans.data.spec import Spec

TRAINING, SQUASH, FULL = "training", "squash", "full"
TILE = 1024 + 64  # pixels of what is made: two, which overlap, cover 2048
ROWS = 256  # of a large picture are finished at a time
_FORMED = "a"  # the side that sets of data make from pictures


class Translator:
    """An output of a GAN that makes one picture of one picture.

    Args:
      gan: whose output it is.
      spec: of the data that it was trained on. The data themselves are not needed.
      state: of the trained model.
      output: of `gan.outputs`; None: "sample", or else the first that does so.
      size: length of the shorter side at which the network sees a picture; "training":
        as it was trained; "full": that of the picture itself. "squash": all of it
        becomes as high and as wide as pictures were in training. A model that makes
        pictures larger sees them as they are.
      tile: the longest side that the network is given at once, in pixels; None: 1024
        of what it makes, or twice that of the training.
      name: of the data. A set that makes what is given from pictures, such as drawings,
        makes it here, too, and may keep it in what comes out (`gans.data.given`,
        `finished`).
      already: pictures are in that form already.
      colourless: the fields of three channels that had no colours in the training.

    Attributes:
      output: its name.
      others: the names of the model's other outputs.
      given, made: the fields of the data that it takes and makes.
      channels: of the pictures that it takes; of 2 or 4 the last is opacity.
      coloured: whether what the network is given has colours, as in the training.
      networks: the names of those that it uses.
      random: whether it depends on a seed.
      scale: how many times larger it makes pictures.
      size: as it was asked for.
      shapes: at which the network is run.

    Raises ValueError for an unknown output, for one that does not make one picture of
    one picture, and for sizes that cannot be.
    """

    def __init__(
        self,
        gan: core.GAN,
        spec: Spec,
        state: core.State,
        output: str | None = None,
        *,
        size: str | int = TRAINING,
        tile: int | None = None,
        name: str = "",
        already: bool = False,
        colourless: Collection[str] = (),
    ):
        self._gan, self._spec, self._state = gan, spec, state
        self.output, self.given, self.made, sampler = _chosen(gan, spec, output)
        self.others = [x for x in gan.outputs if x != self.output]
        self.random = sampler.random
        *sides, channels = spec[self.given].shape
        formed = self.given == _FORMED and not already
        self._form = data.given(name) if formed else None
        self._finish = data.finished(name) if self.given == _FORMED else None
        if already and not (self.given == _FORMED and data.given(name)):
            raise ValueError("already: this model is given pictures as they are anyway")
        self.channels = max(channels, 3) if self._form and channels != 2 else channels
        self.coloured = channels >= 3 and self.given not in colourless
        self.scale = spec[self.made].shape[0] // sides[0]
        if self.scale > 1 and size not in (TRAINING, FULL):
            raise ValueError(
                f"size={size!r}: this model makes pictures {self.scale} times larger, "
                f"and sees them as they are; accepted is {FULL}"
            )
        size = FULL if self.scale > 1 else size
        self.size, self._seen = size, _seen(size, *sides)
        self.networks = self._in_use()
        modules = [gan.nets[name].module for name in self.networks]
        multiple = math.lcm(*(getattr(x, "multiple", 1) for x in modules))
        first = tiles.up(min(sides), multiple)
        tile = _tile(tile, first, multiple, self.scale)
        self.shapes = tiles.Shapes(first, multiple, tile)
        self._run = jax.jit(self._traced)

    def __call__(
        self,
        picture: np.ndarray,
        key: Array,
        each: Callable[[list], Iterator] = iter,
        as_bytes: bool = False,
    ) -> np.ndarray:
        """Returns what it makes of a picture: float32 [H, W, C'] in [-1, 1].

        It is `scale` times as large.

        Args:
          picture: uint8 [H, W, C], or floats in [-1, 1]; C is `channels`.
          key: of what the output draws, see `key_of`.
          each: goes through the places of tiles, for a progress bar.
          as_bytes: the result is uint8, which needs a fourth of the memory; of a model
            that makes pictures larger.

        Raises FloatingPointError if the model makes no numbers of it.
        """
        lengths = picture.shape[:2]
        if self._form and picture.dtype != np.uint8:
            picture = images.encode(picture)
        form = self._form or (lambda x: x)
        shown = form(resized(picture, *self._seen(*lengths)))

        def encode(x):
            if not np.isfinite(x).all():
                raise FloatingPointError("the model makes NaN of it")
            return images.encode(x) if as_bytes else x

        made = tiles.run(
            lambda x: self._run(self._state, x, key),
            shown,
            self.shapes,
            each,
            scale=self.scale,
            encode=encode,
        )
        if as_bytes:
            return made
        made = resized(made, *(self.scale * n for n in lengths))
        made = np.clip(made, -1, 1, out=made if made.flags.writeable else None)
        if self._finish is None:
            return made
        given, finished = form(picture), np.empty_like(made)
        for i in range(0, len(made), ROWS):
            rows = slice(i, i + ROWS)
            known = given[rows].astype(np.float32) / 127.5 - 1
            finished[rows] = self._finish(known, made[rows])
        return finished

    def _traced(self, state, x, key):
        """[h, w, C] as it is stored -> [h, w, C'] float32, of the trained network."""
        key_inputs, key_output = jax.random.split(key)
        inputs = self._gan.inputs(key_inputs, self._batch(images.decode(x)[None]))
        made = core.sample(self._gan, state, inputs, key_output, self.output)
        return made[self.made][0].astype(jnp.float32)

    def _batch(self, x):
        """Examples of all that the model is given: of x [1, h, w, C], and of nothing.

        The output does not depend on the rest; images in it are as large as x.
        """
        batch = {}
        for name in self._gan.conditioned_on:
            field = self._spec[name]
            shape = field.shape
            if field.kind == "image":
                shape = (*x.shape[1:3], shape[2])
            batch[name] = jnp.zeros((1, *shape), jnp.float32)
        return batch | {self.given: x}

    def digest(self) -> str:
        """Returns what tells the weights of its networks from others."""
        nets = core.bind(self._gan, self._state, train=False, ema=True)
        digest = hashlib.sha256()
        for name in self.networks:
            for x in jax.tree.leaves((nets[name].params, nets[name].stats)):
                digest.update(np.asarray(x).tobytes())
        return digest.hexdigest()[:16]

    def _in_use(self):
        """The names of the networks that the output uses, sorted."""
        used = set()

        def noting(state, x, key):
            nets = _Noting(core.bind(self._gan, state, train=False, ema=True), used)
            inputs = self._gan.inputs(key, self._batch(x))
            return self._gan.outputs[self.output](nets, inputs, key)

        x = jax.ShapeDtypeStruct((1, *self._spec[self.given].shape), jnp.float32)
        jax.eval_shape(noting, self._state, x, jax.random.key(0))
        return sorted(used)


class _Noting(dict):
    """Networks, and a set that gets the names of those that are asked for."""

    def __init__(self, nets, used):
        super().__init__(nets)
        self._used = used

    def __getitem__(self, name):
        self._used.add(name)
        return super().__getitem__(name)


class _Found(NamedTuple):
    output: str
    given: str
    made: str
    sampler: Sampler


def _chosen(gan, spec, output) -> _Found:
    asked = sorted(gan.outputs, key=lambda name: name != "sample")
    if output is not None:
        asked = [names.check(output, gan.outputs, "output")]
    for name in asked:
        found = _translation(gan, spec, name)
        if found:
            return found
    if output is None:
        raise ValueError(
            "this model makes no picture of a picture that it is given; "
            f"`experiments.sample` draws its outputs: {', '.join(gan.outputs)}"
        )
    raise ValueError(
        f"output {output!r} does not make one picture of one picture; the model's "
        f"outputs are {', '.join(gan.outputs)}"
    )


def _translation(gan, spec, output) -> _Found | None:
    """An output, if it makes one image of one; tried with one blank example."""
    if not gan.conditioned_on:
        return None
    blank = {name: np.zeros((1, *x.shape), x.dtype) for name, x in spec.items()}
    sampler = Sampler(gan, spec, InMemory("blank", blank, spec), output)
    given = [*sampler.given(sampler.examples(1))]
    made = [name for name in sampler.fields if name in spec]
    if len(given) != 1 or len(made) != 1:
        return None
    if {spec[name].kind for name in (*given, *made)} != {"image"}:
        return None
    if spec[made[0]].shape[-1] not in (1, 3):  # pictures with holes, say
        return None
    return _Found(output, given[0], made[0], sampler)


def _seen(size, height, width) -> Callable[[int, int], tuple[int, int]]:
    """Returns the sides at which the network sees a picture, of its own sides.

    height, width: of the training.
    """
    if size == FULL:
        return lambda *sides: sides
    if size == SQUASH:
        return lambda *sides: (height, width)
    shorter = min(height, width) if size == TRAINING else size
    if not isinstance(shorter, int) or shorter < 1:
        raise ValueError(
            f"size={size!r}: wanted {TRAINING}, {SQUASH}, {FULL}, or a number of pixels"
        )
    return lambda *sides: tuple(max(1, round(n * shorter / min(sides))) for n in sides)


def _tile(tile, first, multiple, scale) -> int:
    if tile is None:
        return max(TILE // scale // multiple * multiple, 2 * first)
    if tile < first:
        raise ValueError(f"tile={tile}: wanted at least {first} pixels, the training's")
    return tile // multiple * multiple


def key_of(seed: int, name: str, variant: int = 0) -> Array:
    """Returns the key of what is made of a picture of that name: one for each variant.

    It depends on nothing else, such as the pictures beside it.
    """
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(os.fsencode(name)))
    return jax.random.fold_in(key, variant)


def resized(x: np.ndarray, height: int, width: int) -> np.ndarray:
    """Returns a picture [H, W, C] of another size, of the same type.

    Shrinking is by Lanczos, enlarging bicubic, as `gans.data.image.fit` does it.
    """
    if x.shape[:2] == (height, width):
        return x
    shrinks = height * width < x.shape[0] * x.shape[1]
    how = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    size = int(width), int(height)
    if x.dtype == np.uint8:  # of grey, RGB, or either with opacity
        plane = Image.fromarray(x[..., 0] if x.shape[2] == 1 else x).resize(size, how)
        return np.asarray(plane).reshape(height, width, x.shape[2])
    planes = np.moveaxis(x, -1, 0).astype(np.float32)
    return np.stack([Image.fromarray(p).resize(size, how) for p in planes], axis=-1)
