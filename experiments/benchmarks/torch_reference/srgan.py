"""The first stage of SRGAN in PyTorch: the generator and its distance to the image."""

import torch

from experiments.benchmarks.torch_reference.training import update
from experiments.benchmarks.torch_reference.translation import Networks, make

DISTANCES = {"l1": torch.abs, "mse": torch.square}


class Training(Networks):
    """The generator with its optimiser; `step` is what the benchmark times.

    Args: see `training.Training`. Raises ValueError without a counterpart.
    """

    def __init__(
        self,
        config,
        *,
        device="cpu",
        channels_last=False,
        compiled=False,
        dtype=torch.float32,
    ):
        super().__init__(config, device, channels_last, compiled, dtype)
        if not config.pretrain:
            raise ValueError("the second stage has no counterpart in PyTorch")
        given, made = (config.spec[side]["shape"] for side in "ab")
        part = {**config.generator, "scale": made[0] // given[0]}
        (self.g,) = self.ready(make(part, made, given[-1]))
        self.optimizer_g = self.optimizer(config.generator, self.g)
        self.distance = DISTANCES[config.pretrain_loss]

    def step(self, batch):
        """Updates on {"a", "b"}, [B, C, H, W] each; returns the loss."""
        with self.autocast():
            loss = self.distance(self.g(batch["a"]) - batch["b"]).mean()
        update(loss, self.optimizer_g)
        return loss.detach()
