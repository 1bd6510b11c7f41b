"""What is done to a critic's inputs: noise, and random transforms of real and fake.

Everything is differentiable with respect to the inputs, since the generator learns
through it, and every example draws its own numbers from `key`: one key does the same
to any two batches of one shape. The zeros that translation and cutout put in are
mid-grey, for images in [-1, 1].
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax import Array, lax

from gans import names


def instance_noise(x: Array, key: Array, sigma: Array | float) -> Array:
    """x [B, ...], images or points, plus normal noise of deviation `sigma` [].

    Section 3 of arXiv 1701.04862; to be annealed: arXiv 1610.04490, on instance noise.
    """
    noise = jax.random.normal(key, x.shape, jnp.float32)
    return x + (sigma * noise).astype(x.dtype)


def brightness(x: Array, key: Array) -> Array:
    """x [B, H, W, C] -> x + U(-0.5, 0.5), not clipped (arXiv 2006.10738, section 4)."""
    return x + _uniform(x, key, -0.5, 0.5)


def saturation(x: Array, key: Array) -> Array:
    """Distances from each pixel's mean over channels, times U(0, 2) (2006.10738).

    x [B, H, W, C] -> [B, H, W, C], not clipped; the identity where C is 1.
    """
    mean = jnp.mean(x, axis=3, keepdims=True)
    return mean + _uniform(x, key, 0.0, 2.0) * (x - mean)


def contrast(x: Array, key: Array) -> Array:
    """Distances from each image's mean, times U(0.5, 1.5) (arXiv 2006.10738).

    x [B, H, W, C] -> [B, H, W, C], not clipped.
    """
    mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
    return mean + _uniform(x, key, 0.5, 1.5) * (x - mean)


def translation(x: Array, key: Array) -> Array:
    """Moves each image by whole pixels, up to 1/8 of its size (rounded) either way.

    x [B, H, W, C] in [-1, 1] -> the same; what comes in at the edges is 0. As published
    (arXiv 2006.10738) that is a zero of [-1, 1], mid-grey, and not black.
    """
    most = [(n + 4) // 8 for n in x.shape[1:3]]
    starts = jax.random.randint(key, (len(x), 2), 0, 2 * jnp.array(most) + 1)
    padded = jnp.pad(x, [(0, 0), *((n, n) for n in most), (0, 0)])

    # On a CPU, products with shift matrices, sums over shifts and gathers along an axis
    # are slower; a loop over the images is faster, but cannot be split over devices.
    def cut(image, start):
        return lax.dynamic_slice(image, (*start, 0), x.shape[1:])

    return jax.vmap(cut)(padded, starts)


def cutout(x: Array, key: Array) -> Array:
    """Sets a rectangle of half the height and half the width (rounded up) to 0.

    x [B, H, W, C] -> [B, H, W, C]. Its centre is uniform over the whole image, so that
    it may lie partly outside (arXiv 2006.10738 and its published code); the zeros are
    mid-grey in [-1, 1].
    """
    inside = True
    for axis, key_axis in zip((1, 2), jax.random.split(key), strict=True):
        n = x.shape[axis]
        side = (n + 1) // 2
        # An even side has its centre between two pixels: one place more.
        places = n + 1 - side % 2
        start = jax.random.randint(key_axis, (len(x), 1, 1, 1), 0, places) - side // 2
        index = lax.broadcasted_iota(jnp.int32, (1, *x.shape[1:3], 1), axis)
        inside &= (start <= index) & (index < start + side)
    return jnp.where(inside, 0, x)


def _uniform(x, key, low, high):
    """[B, 1, 1, 1] draws for the images x [B, H, W, C]."""
    draws = jax.random.uniform(key, (len(x), 1, 1, 1), jnp.float32, low, high)
    return draws.astype(x.dtype)


TRANSFORMS = {
    "color": (brightness, saturation, contrast),
    "translation": (translation,),
    "cutout": (cutout,),
}


def diff_augment(
    x: Array,
    key: Array,
    policy: tuple[str, ...] = tuple(TRANSFORMS),
    probability: Array | float = 1.0,
) -> Array:
    """Differentiable augmentation (arXiv 2006.10738, section 4) of images.

    x [B, H, W, C] in [-1, 1] -> the same shape; colours may leave the range. Each
    transform of the parts of `policy`, in that order, is applied to each image with
    `probability` [], independently: 1 in that paper, the controlled p in arXiv
    2006.06676. Raises ValueError for a part that is not in `TRANSFORMS`.
    """
    for part in policy:
        names.check(part, TRANSFORMS, "policy of augment")
    transforms = [transform for part in policy for transform in TRANSFORMS[part]]
    keys = jax.random.split(key, (len(transforms), 2))
    for transform, (key_turn, key_draw) in zip(transforms, keys, strict=True):
        turn = jax.random.uniform(key_turn, (len(x), 1, 1, 1)) < probability
        x = jnp.where(turn, transform(x, key_draw), x)
    return x


def overfitting(on_real: Array) -> Array:
    """r_t [] in [-1, 1]: mean sign of the critic's logits [B] of real training images.

    Equation 1 of arXiv 2006.06676: near 0 without overfitting, 1 at its worst. It
    presumes a critic that is 0 where it is undecided; otherwise subtract that logit.
    """
    return jnp.mean(jnp.sign(on_real.astype(jnp.float32)))


def adapt(
    p: Array, r_t: Array, n_images: int, target: float = 0.6, kimg: float = 500
) -> Array:
    """The next p [] in [0, 1], after `n_images` more real images.

    Section 3.1 of arXiv 2006.06676: from p [] up where r_t [] is above `target`, down
    where it is below, so fast that 0 to 1 takes `kimg` thousand images.
    """
    return jnp.clip(p + jnp.sign(r_t - target) * (n_images / (1000 * kimg)), 0.0, 1.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augment:
    """What a variant does to the inputs of its critic; made by `make`.

    adaptive: it has a probability p [], which it keeps in the state (see `Adaptive`).
    """

    name: ClassVar[str]
    adaptive: ClassVar[bool] = False

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, ...] -> the same shape; step []; p [] in [0, 1] if adaptive."""
        raise NotImplementedError

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ValueError if it is not for examples of this shape."""

    def _require(self, holds: bool, name: str, accepted: str) -> None:
        if not holds:
            value = getattr(self, name)
            raise ValueError(
                f"augment {self.name}: {name}={value!r} must be {accepted}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class InstanceNoise(Augment):
    """`instance_noise` from `sigma`, linear to 0 at step `stop` (None: never less).

    Raises ValueError for sigma < 0 or stop < 1.
    """

    name: ClassVar[str] = "instance_noise"
    sigma: float = 0.1
    stop: int | None = None

    def __post_init__(self):
        self._require(names.holds(self.sigma >= 0), "sigma", "at least 0")
        self._require(self.stop is None or self.stop >= 1, "stop", "at least 1 step")

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, ...], images or points, step [] -> the same shape; no p."""
        left = 1.0 if self.stop is None else jnp.maximum(1 - step / self.stop, 0)
        return instance_noise(x, key, self.sigma * left)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DiffAugment(Augment):
    """`diff_augment` of every image, by a policy such as "color,cutout".

    Raises ValueError for a part that is not in `TRANSFORMS`.
    """

    name: ClassVar[str] = "diff_augment"
    policy: str = ",".join(TRANSFORMS)

    def __post_init__(self):
        for part in self.parts:
            names.check(part, TRANSFORMS, "policy of augment")

    @property
    def parts(self) -> tuple[str, ...]:
        """The names in `policy`."""
        return tuple(part.strip() for part in self.policy.split(","))

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C] in [-1, 1] -> the same shape; no step and no p."""
        return diff_augment(x, key, self.parts)

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises ValueError unless the shape is that of images, (H, W, C)."""
        if len(shape) != 3:
            raise ValueError(
                f"augment {self.name} is for images (H, W, C), not for examples of "
                f"shape {tuple(shape)}; those accept: {InstanceNoise.name}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adaptive(DiffAugment):
    """`diff_augment` with the controlled probability of arXiv 2006.06676, section 3.1.

    Every `interval` steps p moves by `adapt`, with r_t of all their batches. Deviation:
    the transforms are those of `TRANSFORMS`, not the paper's eighteen.

    Raises ValueError for target outside (-1, 1), kimg <= 0, or an interval that is
    not a whole number of at least 1.
    """

    name: ClassVar[str] = "ada"
    adaptive: ClassVar[bool] = True
    target: float = 0.6
    kimg: float = 500
    interval: int = 4

    def __post_init__(self):
        super().__post_init__()
        inside = names.holds((-1 < self.target) & (self.target < 1))
        self._require(inside, "target", "in (-1, 1)")
        self._require(names.holds(self.kimg > 0), "kimg", "above 0")
        whole = self.interval == int(self.interval) >= 1
        self._require(whole, "interval", "at least 1 step, and whole")

    def apply(self, x: Array, key: Array, step: Array, p: Array | None = None) -> Array:
        """x [B, H, W, C] in [-1, 1], p [] -> the same shape; no step.

        Raises ValueError without p.
        """
        if p is None:
            raise ValueError("augment ada needs p [] in [0, 1], got None")
        return diff_augment(x, key, self.parts, p)

    def first(self) -> dict[str, Array]:
        """What it keeps: {"p" [], "r" []}, r_t added up since p last moved."""
        return {"p": jnp.zeros(()), "r": jnp.zeros(())}

    def adapted(
        self, kept: dict[str, Array], on_real: Array, step: Array, batch_size: int
    ) -> dict[str, Array]:
        """What it keeps after step []: p moves after each `interval` steps.

        on_real: logits [B] of real images, as the critic saw them, augmented;
        batch_size: real images of each step.
        """
        p, r = kept["p"], kept["r"] + overfitting(on_real)
        n_images = self.interval * batch_size
        moved = adapt(p, r / self.interval, n_images, self.target, self.kimg)
        due = (step + 1) % self.interval == 0
        return {"p": jnp.where(due, moved, p), "r": jnp.where(due, 0, r)}


NAMES = {kind.name: kind for kind in (InstanceNoise, DiffAugment, Adaptive)}


def make(name: str, **options) -> Augment:
    """Returns the augmentation `name` of `NAMES` with the fields of its class set.

    Raises ValueError, listing what is accepted, for another name or option, and what
    the class raises for a value.
    """
    kind = NAMES[names.check(name, NAMES, "augment")]
    names.options(
        [f.name for f in dataclasses.fields(kind)], options, f"augment {name}"
    )
    return kind(**options)
