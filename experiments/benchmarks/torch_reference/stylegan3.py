"""StyleGAN3 in PyTorch: the game of StyleGAN2 with another generator."""

from experiments.benchmarks.torch_reference import alias_free, stylegan2

NETWORK = __name__.rpartition(".")[2]  # as in stylegan2


class Training(stylegan2.Training):
    """Both networks with their optimisers; `step` is what the benchmark times.

    Args: see `training.Training`. Raises ValueError without a counterpart.
    """

    networks = {"generator": NETWORK, "discriminator": stylegan2.NETWORK}
    generator = alias_free.Generator
