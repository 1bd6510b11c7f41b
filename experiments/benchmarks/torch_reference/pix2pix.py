"""pix2pix in PyTorch: one update of the discriminator, then one of the generator."""

import torch

from experiments.benchmarks.torch_reference.training import losses, update
from experiments.benchmarks.torch_reference.translation import Networks, make


class Training(Networks):
    """Both networks with their optimisers; `step` is what the benchmark times.

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
        self.sides = "ab" if config.direction == "a_to_b" else "ba"
        given, made = (config.spec[side]["shape"] for side in self.sides)
        judged = made[-1] + (given[-1] if config.conditional else 0)
        g = make(config.generator, made, given[-1])
        d = make(config.discriminator, None, judged)
        self.g, self.d = self.ready(g, d)
        self.optimizer_g = self.optimizer(config.generator, self.g)
        self.optimizer_d = self.optimizer(config.discriminator, self.d)
        self.d_objective, self.g_objective = losses(config)

    def step(self, batch):
        """Updates on {"a", "b"}, [B, C, H, W] each; returns the losses of D and G."""
        given, real = (batch[side] for side in self.sides)
        with self.autocast():
            fake = self.g(given)
            loss_d = self.d_objective(
                self._judged(given, real), self._judged(given, fake.detach())
            )
        update(loss_d / 2, self.optimizer_d)
        self.d.requires_grad_(False)
        with self.autocast():
            loss_g = self.config.gan_weight * self.g_objective(
                self._judged(given, fake)
            )
            loss_g = loss_g + self.config.l1 * (fake - real).abs().mean()
        update(loss_g, self.optimizer_g)
        self.d.requires_grad_(True)
        return loss_d.detach() / 2, loss_g.detach()

    def _judged(self, given, image):
        if self.config.conditional:
            image = torch.cat([given, image], 1)
        return self.d(image)
