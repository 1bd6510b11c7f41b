"""StyleGAN3, Alias-Free Generative Adversarial Networks (arXiv 2106.12423).

A generator whose maps are samples of band-limited signals: the activations are filtered
so that nothing folds back, and the input is made of sines, which can be moved by parts
of a pixel (configuration T) and turned (R). There is no noise, no style mixing and no
path length. Discriminator, loss and R1 are those of StyleGAN2, in updates of their own
as there; R's discriminator sees blurred images at first (`augment="fading_blur"`).

Deviations from the paper and the authors' code, beside those of
gans/variants/stylegan2.py and gans/networks/stylegan3.py:
- The average of w and the magnitudes of maps move in the generator's update; in the
  code it is the discriminator's.
- Averaged weights have averaged magnitudes; the code copies the last ones.
"""

from gans.core import GAN
from gans.data.spec import Spec
from gans.variants import stylegan2


def build(config: stylegan2.parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN that `config` describes (see configs/stylegan3.py).

    Raises what StyleGAN2's does.
    """
    return stylegan2.build(config, spec, stage)
