"""The controller of an augmentation's probability (arXiv 2006.06676, section 3.1)."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from jax import Array

from gans import names
from gans.augment.base import Augment


def overfitting(on_real: Array) -> Array:
    """r_t [] in [-1, 1]: the mean sign of the logits [B] of real training images.

    Equation 1 of arXiv 2006.06676: near 0 without overfitting, 1 at its worst. It
    presumes a discriminator whose logit is 0 where it is undecided; otherwise subtract
    that logit.
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
class Adaptive(Augment):
    """An augmentation with the controlled probability of arXiv 2006.06676.

    Every `interval` steps `adapt` changes p, with r_t over all batches since the last
    change. p is part of the training state, so a resumed run goes on with it.

    Deviations from the authors' code: p is at most 1, where theirs has no limit and
    their issues report 21.8; r_t is of the discriminator's own updates, where theirs
    counts the passes of a lazy R1 once more.

    Raises ValueError for target outside (-1, 1), kimg <= 0, or an interval that is
    not a whole number of at least 1.
    """

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

    def first(self) -> dict[str, Array]:
        """What it keeps: {"p" [], "r" []}, r_t added up since the last change of p."""
        return {"p": jnp.zeros(()), "r": jnp.zeros(())}

    def adapted(
        self, kept: dict[str, Array], on_real: Array, step: Array, batch_size: int
    ) -> dict[str, Array]:
        """What it keeps after step []: p changes after each `interval` steps.

        on_real: logits [B] of real images, as the discriminator saw them, augmented;
        batch_size: real images of each step.
        """
        p, r = kept["p"], kept["r"] + overfitting(on_real)
        n_images = self.interval * batch_size
        adapted = adapt(p, r / self.interval, n_images, self.target, self.kimg)
        due = (step + 1) % self.interval == 0
        return {"p": jnp.where(due, adapted, p), "r": jnp.where(due, 0, r)}
