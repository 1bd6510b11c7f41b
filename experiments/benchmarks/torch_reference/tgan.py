"""TGAN in PyTorch: the game of two players, and singular value clipping."""

import torch
from torch import nn

from experiments.benchmarks.torch_reference import training


class Training(training.Training):
    """Both networks with their optimisers; `step` is what the benchmark times.

    Args: see `training.Training`. Raises ValueError without a counterpart.
    """

    def step(self, batch):
        """Updates on one batch of clips, {field: [B, C, T, H, W]}."""
        super().step(batch)
        every = self.config.singular_every
        if every and self.n_steps % every == 0:
            self.clip()

    @torch.no_grad()
    def clip(self):
        """Limits the critic's singular values to 1, and gains by the deviation."""
        for layer in self.d.modules():
            if isinstance(layer, nn.Conv3d):
                w = layer.weight
                left, s, right = torch.linalg.svd(w.flatten(1), full_matrices=False)
                w.copy_((left * s.clamp(max=1.0) @ right).view(w.shape))
            elif isinstance(layer, nn.BatchNorm3d):
                s = layer.running_var.sqrt()
                layer.weight.copy_(layer.weight.clamp(0.01 * s, s))
