"""A GAN in PyTorch: losses, optimisers, and the training step."""

import torch
import torch.nn.functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from experiments.benchmarks.torch_reference import networks
from gans import names
from gans.data import kinds
from gans.data import spec as specs

_OURS = ("optimizer", "penalties", "kernel_init")
_STABILISERS = ("spectral", "equalised", "minibatch", "dropout")
# Channels last, by the kind of the data and by the axes of a tensor.
_FORMATS = {"image": torch.channels_last, "video": torch.channels_last_3d}
_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
# By config.loss: (discriminator(real, fake), generator(fake)) of logits [B].
_LOSSES = {
    "minimax": (
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake: -F.softplus(fake).mean(),
    ),
    "non_saturating": (
        lambda real, fake: F.softplus(-real).mean() + F.softplus(fake).mean(),
        lambda fake: F.softplus(-fake).mean(),
    ),
    "hinge": (
        lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(),
        lambda fake: -fake.mean(),
    ),
    "wasserstein": (
        lambda real, fake: fake.mean() - real.mean(),
        lambda fake: -fake.mean(),
    ),
}


class Training:
    """Both networks with their optimisers, and the generator's average.

    Args:
      config: a resolved config (see `experiments.config`) of an unconditional GAN.
      device: where the networks live.
      channels_last: the memory format of images and kernels.
      compiled: whether both networks go through `torch.compile`.
      dtype: of the forward passes, by autocast.

    Raises ValueError for a config without a counterpart in PyTorch.
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
        self.config, self.device, self.dtype = config, torch.device(device), dtype
        self.penalty = _penalty(config)  # the weight of WGAN-GP's, or None
        self.d_objective, self.g_objective = losses(config)
        shared = {"shape": tuple(config.shape), "latent": config.latent}
        spec = specs.from_json(config.spec.to_dict())
        self.field = specs.main_field(spec)
        shared["bounded"] = kinds.of(spec[self.field]).RANGE is not None
        self.g, self.d = (
            networks.make(role, **shared, **_options(player)).to(self.device)
            for role, player in (
                ("Generator", config.generator),
                ("Discriminator", config.discriminator),
            )
        )
        self.format = torch.contiguous_format
        if channels_last and spec[self.field].kind in _FORMATS:
            self.format = _FORMATS[spec[self.field].kind]
            for p in (*self.g.parameters(), *self.d.parameters()):
                if p.ndim in _LAST:
                    p.data = p.data.contiguous(memory_format=_LAST[p.ndim])
        self.together = not any(isinstance(m, _BatchNorm) for m in self.d.modules())
        self.optimizer_g = optimizer(self.g, config.generator.optimizer)
        self.optimizer_d = optimizer(self.d, config.discriminator.optimizer)
        self.average = AveragedModel(
            self.g, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True
        )
        if compiled:
            self.g.compile()
            self.d.compile()
        self.n_steps = 0

    def discriminator_loss(self, real, z, alpha):
        """[] of real [B, C, H, W] or [B, 2], z [B, L] and, for a penalty, alpha [B]."""
        with torch.no_grad():
            fake = self.g(z)
        if self.together:
            both = torch.cat([real, fake]).contiguous(memory_format=self.format)
            on_real, on_fake = self.d(both).chunk(2)
        else:
            on_real, on_fake = self.d(real), self.d(fake)
        loss = self.d_objective(on_real.float(), on_fake.float())
        if self.penalty is None:
            return loss
        alpha = alpha.view(-1, *[1] * (real.ndim - 1))
        mixed = (real + alpha * (fake - real)).requires_grad_()
        (slope,) = torch.autograd.grad(self.d(mixed).sum(), mixed, create_graph=True)
        norms = slope.float().flatten(1).norm(dim=1)
        return loss + self.penalty * ((norms - 1) ** 2).mean()

    def generator_loss(self, z):
        """[] of z [B, L]."""
        return self.g_objective(self.d(self.g(z)).float())

    def step(self, batch):
        """Updates on one batch of real data, {field: [B, C, H, W] or [B, 2]}."""
        config, real = self.config, batch[self.field]
        n = len(real)
        alpha = torch.rand(n, device=self.device) if self.penalty is not None else None
        with self._autocast():
            loss = self.discriminator_loss(real, self._latents(n), alpha)
        update(loss, self.optimizer_d)
        clip = config.discriminator.optimizer.get("clip")
        if clip is not None:
            with torch.no_grad():
                for p in self.d.parameters():
                    p.clamp_(-clip, clip)
        self.n_steps += 1
        if self.n_steps % config.n_critic == 0:
            self.d.requires_grad_(False)
            with self._autocast():
                loss = self.generator_loss(self._latents(n))
            update(loss, self.optimizer_g)
            self.d.requires_grad_(True)
            self.average.update_parameters(self.g)

    def _latents(self, n):
        return torch.randn(n, self.config.latent, device=self.device)

    def _autocast(self):
        return torch.autocast(
            self.device.type, self.dtype, enabled=self.dtype != torch.float32
        )


def update(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Makes one step of an optimiser on a loss []."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def losses(config):
    """Returns the losses of a config: of logits (real, fake), and of (fake).

    Raises ValueError for one without a counterpart.
    """
    name, options = names.named(config.loss, "loss")
    if name == "least_squares" and options.keys() <= {"factor"}:
        a, b, c = config.get("targets", (0.0, 1.0, 1.0))
        factor = options.get("factor", 0.5)
        return (
            lambda real, fake: (
                factor * (((real - b) ** 2).mean() + ((fake - a) ** 2).mean())
            ),
            lambda fake: factor * ((fake - c) ** 2).mean(),
        )
    if name not in _LOSSES or options:
        raise ValueError(f"loss {config.loss!r} has no counterpart in PyTorch")
    return _LOSSES[name]


def _penalty(config):
    others = [
        *(config[name] for name in ("augment", "label_flip", "top_k")),
        config.generator.penalties,
        config.discriminator.penalties[1:],
    ]
    found = [names.named(x, "penalties") for x in config.discriminator.penalties[:1]]
    known = all(n == "gradient_penalty" and set(o) <= {"weight"} for n, o in found)
    if any(others) or not known:
        raise ValueError("the config's stabilisers have no counterpart in PyTorch")
    return found[0][1].get("weight", 10.0) if found else None


def _options(player):
    given = {n: x for n, x in player.items() if n not in _OURS}
    if given.get("equalised") or given.get("minibatch"):
        raise ValueError(
            "equalised and minibatch layers have no counterpart in PyTorch"
        )
    # Options that are off are none at all.
    return {n: x for n, x in given.items() if x or n not in _STABILISERS}


def optimizer(module: torch.nn.Module, options) -> torch.optim.Optimizer:
    """Returns the optimiser of a network that a part of a config describes.

    Raises ValueError for one without a counterpart.
    """
    if options.name == "adam":
        betas = (options.b1, options.b2)
        return torch.optim.Adam(module.parameters(), options.learning_rate, betas)
    if options.name == "rmsprop":
        return torch.optim.RMSprop(
            module.parameters(), options.learning_rate, alpha=options.decay
        )
    raise ValueError(f"optimizer {options.name!r} has no counterpart in PyTorch")
