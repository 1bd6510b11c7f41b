"""StyleGAN3 in PyTorch: the game of StyleGAN2 with another generator."""

from experiments.benchmarks.torch_reference import alias_free, stylegan2


class Training(stylegan2.Training):
    """Both networks with their optimisers; `step` is what the benchmark times.

    Args: see `training.Training`. Raises ValueError without a counterpart.
    """

    networks = {"generator": "stylegan3", "discriminator": "stylegan2"}
    generator = alias_free.Generator
