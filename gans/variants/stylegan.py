"""StyleGAN, A Style-Based Generator Architecture for GANs (arXiv 1812.04948).

A mapping network makes styles w of z; the synthesis network begins with a constant, and
each of its layers gets noise and, by adaptive instance normalisation, a style (section
2). The presets have the paper's loss of FFHQ, non-saturating and logistic with R1,
style mixing (section 3.1), and progressive growing (`gans.growing`) from 8x8 pixels;
with first_resolution=RESOLUTION nothing grows. Any other loss is accepted, and any
stabiliser.

Deviations from the paper and the authors' code: the average of w moves once a step, in
the generator's update, and is averaged with the parameters; style mixing has one coin
and one layer for the whole batch (as the code); fakes have the labels of the batch. The
truncation of samples is of all layers, the code's of the first eight. Samples are
clipped to [-1, 1]. See also `gans.growing` and `gans.networks.stylegan1`.
"""

from gans import build as parts
from gans import growing
from gans.core import GAN
from gans.data.spec import Spec
from gans.growing import stages
from gans.variants import stylegan2

__all__ = ["build", "stages"]


def build(config: parts.Config, spec: Spec, stage: int = 0) -> GAN:
    """Returns the GAN of a stage that `config` describes (see configs/stylegan.py).

    Raises ValueError for a generator without a mapping network, if it is to be
    conditional and the data has no labels, and for what cannot grow.
    """
    return growing.grown(stylegan2.build, config, spec, stage)
