"""3D-GAN, J. Wu et al. 2016 (arXiv 1610.07584): volumes.

A latent becomes a volume by 3-D transposed convolutions, and a discriminator that is
its mirror image judges volumes (`gans/networks/voxels.py`). As the discriminator learns
much faster, it is updated only where its accuracy in the last batch is at most 80 %
(section 3.1, "Training details").

Deviations from the paper and its reimplementations:
- The accuracy is measured in the generator's update, on its fakes and on the batch's
  real volumes, and decides about the discriminator's next update.
- In that pass the discriminator sees real and fake volumes by the statistics of their
  own batches, as in training.
- Voxels are values in [-1, 1] here, which the networks map from and to the paper's
  [0, 1]; latents are N(0, 1), of which the generator makes U(0, 1).
- Kernels start from N(0, 0.02); the paper does not say from what. Batch norm's averages
  are of biased variances.
- Labels, if any, are embedded and join the latent, and a channel of the
  discriminator's input. The paper has one network a class.
"""

import dataclasses

import jax.numpy as jnp

from gans import build as parts
from gans import terms
from gans.core import GAN, State
from gans.data.spec import Spec, main_field
from gans.terms import Context, Term


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/gan3d.py).

    Raises ValueError for data that are not voxels.
    """
    field = main_field(spec)
    if spec[field].kind != "voxels":
        raise ValueError(
            f"3D-GAN makes voxels, and the data have {field!r} of kind "
            f"{spec[field].kind!r}; accepted is a field of kind 'voxels'"
        )
    game, most = parts.game(config, spec), config["accuracy_limit"]
    if most == 1:  # always
        return game.gan()
    measured = accuracy(game.loss.boundary)
    slot = terms.slot(measured, "g")
    added = {**game.terms, "g": (*game.terms.get("g", ()), measured)}
    game = dataclasses.replace(game, terms=added)

    def right(state: State):
        return state.aux[slot] > most

    d, *others = game.updates
    return game.gan((dataclasses.replace(d, unless=right), *others))


def accuracy(boundary: float | None) -> Term:
    """How often the discriminator is right, of real and fake examples; remembered.

    It adds nothing to the loss. boundary: between logits of the two sides.

    Raises ValueError for a loss whose logits have none.
    """
    if boundary is None:
        raise ValueError(
            "accuracy_limit needs a loss whose logits tell real from fake at 0; "
            "accuracy_limit=1 updates the discriminator in each step"
        )

    def value(c: Context):
        on_real = c.discriminate(c.real)
        right = jnp.concatenate([on_real > boundary, c.on_fake < boundary])
        found = jnp.mean(right, dtype=jnp.float32)
        return found, found

    return Term(
        name="accuracy",
        value=value,
        weight=0.0,
        memory=lambda params: jnp.zeros(()),
        about=("generator",),
    )
