"""CycleGAN in PyTorch: both generators together, then each discriminator."""

import random

import torch

from experiments.benchmarks.torch_reference.training import losses, update
from experiments.benchmarks.torch_reference.translation import Networks, make


class Training(Networks):
    """The four networks with their optimisers; `step` is what the benchmark times.

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
        a, b = (config.spec[side]["shape"] for side in "ab")
        g, d = config.generator, config.discriminator
        self.g_ab, self.g_ba, self.d_a, self.d_b = self.ready(
            make(g, b, a[-1]),
            make(g, a, b[-1]),
            make(d, None, a[-1]),
            make(d, None, b[-1]),
        )
        self.optimizer_g = self.optimizer(g, self.g_ab, self.g_ba)
        self.optimizer_d = self.optimizer(d, self.d_a, self.d_b)
        self.d_objective, self.g_objective = losses(config)
        self.pools = {"a": [], "b": []}

    def step(self, batch):
        """Updates on {"a", "b"}, [B, C, H, W] each; returns the losses of D and G."""
        config, a, b = self.config, batch["a"], batch["b"]
        self.d_a.requires_grad_(False)
        self.d_b.requires_grad_(False)
        with self.autocast():
            fake_b, fake_a = self.g_ab(a), self.g_ba(b)
            again_a, again_b = self.g_ba(fake_b), self.g_ab(fake_a)
            loss_g = self.g_objective(self.d_b(fake_b)) + self.g_objective(
                self.d_a(fake_a)
            )
            cycles = (again_a - a).abs().mean() + (again_b - b).abs().mean()
            loss_g = loss_g + config.cycle * cycles
            if config.identity:
                same = (self.g_ab(b) - b).abs().mean() + (self.g_ba(a) - a).abs().mean()
                loss_g = loss_g + config.identity * same
        update(loss_g, self.optimizer_g)
        self.d_a.requires_grad_(True)
        self.d_b.requires_grad_(True)
        with self.autocast():
            loss_d = sum(
                self.d_objective(d(real), d(self._shown(side, fake.detach()))) / 2
                for side, d, real, fake in (
                    ("a", self.d_a, a, fake_a),
                    ("b", self.d_b, b, fake_b),
                )
            )
        update(loss_d, self.optimizer_d)
        return loss_d.detach(), loss_g.detach()

    def _shown(self, side, fakes):
        """What the pool gives for new fakes."""
        pool, size, shown = self.pools[side], self.config.pool, []
        for fake in fakes:
            if len(pool) < size:
                pool.append(fake.clone())
            elif size and random.random() > 0.5:
                at = random.randrange(size)
                fake, pool[at] = pool[at], fake.clone()
            shown.append(fake)
        return torch.stack(shown).contiguous(memory_format=self.format)
