"""StyleGAN2 in PyTorch: both losses, R1 and path length, each an update of its own."""

import copy

import torch

from experiments.benchmarks.torch_reference import styled
from experiments.benchmarks.torch_reference.training import losses, update
from experiments.benchmarks.torch_reference.translation import Networks
from gans import names
from gans.data import spec as specs

NETWORK = __name__.rpartition(".")[2]  # the file of gans/networks of the same name
_ARCHITECTURES = {"generator": "skip", "discriminator": "resnet"}


class Training(Networks):
    """Both networks with their optimisers; `step` is what the benchmark times.

    Args: see `training.Training`. Raises ValueError without a counterpart.
    """

    networks = {"generator": NETWORK, "discriminator": NETWORK}
    generator = styled.Generator

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
        others = [config[name] for name in ("augment", "label_flip", "top_k")]
        if any(others) or config.conditional or config.n_critic != 1:
            raise ValueError("the config's options have no counterpart in PyTorch")
        self.field = specs.main_field(specs.from_json(config.spec.to_dict()))
        shape = tuple(config.spec[self.field]["shape"])
        self.g, self.d = self.ready(
            self.generator(shape, config.latent, **self.options("generator")),
            styled.Discriminator(shape, **self.options("discriminator")),
        )
        self.average = copy.deepcopy(self.g).requires_grad_(False)
        self.path_length = _lazy(config.generator, "path_length")
        self.r1 = _lazy(config.discriminator, "r1")
        self.optimizer_g = self.lazy_optimizer(config.generator, self.g)
        self.optimizer_d = self.lazy_optimizer(config.discriminator, self.d)
        self.d_objective, self.g_objective = losses(config)
        self.mean_length = torch.zeros((), device=self.device)
        self.n_steps = 0

    def options(self, role):
        """Of the network of a role."""
        part, wanted = self.config[role], _ARCHITECTURES[role]
        network = self.networks[role]
        if part.network != network or part.get("architecture", wanted) != wanted:
            raise ValueError(f"{role}: only {network}, {wanted}, has a counterpart")
        return {k: x for k, x in part.items() if k not in ("network", "architecture")}

    def lazy_optimizer(self, part, network):
        """Adam of a network whose lazy term is an update, too: appendix B."""
        part, (every, _) = copy.deepcopy(part), _lazy(part, None)
        if every:
            share = every / (every + 1)
            part.optimizer.learning_rate *= share
            part.optimizer.b1 **= share
            part.optimizer.b2 **= share
        return self.optimizer(part, network)

    def discriminator_loss(self, real, z):
        """[] of real images [B, C, H, W] and z [B, L]."""
        with torch.no_grad():
            fake = self.g(z)
        return self.d_objective(self.d(real), self.d(fake))

    def generator_loss(self, z):
        """[] of z [B, L]."""
        return self.g_objective(self.d(self.g(z)))

    def r1_loss(self, real):
        """[] of real images [B, C, H, W]."""
        real = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.d(real).sum(), real, create_graph=True)
        every, options = self.r1
        penalty = slope.square().sum((1, 2, 3)).mean() / 2
        return penalty * options.get("weight", 10.0) * every

    def path_length_loss(self, z, noise=None):
        """[] of z [B, L] and images of noise; moves the mean of the lengths."""
        every, options = self.path_length
        ws = self.g.styles(z, track=False)
        images = self.g.synthesis(ws)
        noise = torch.randn_like(images) if noise is None else noise
        along = (images * noise).sum() / (images.shape[2] * images.shape[3]) ** 0.5
        (slope,) = torch.autograd.grad(along, ws, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        mean = self.mean_length.lerp(lengths.mean(), options.get("decay", 0.01))
        self.mean_length = mean.detach()
        return (lengths - mean).square().mean() * options.get("weight", 2.0) * every

    def step(self, batch):
        """Updates on {field: [B, C, H, W]}; returns the losses of D and G."""
        real, n = batch[self.field], len(batch[self.field])
        self.n_steps += 1
        loss_d = self.discriminator_loss(real, self.latents(n))
        update(loss_d, self.optimizer_d)
        self.d.requires_grad_(False)
        loss_g = self.generator_loss(self.latents(n))
        update(loss_g, self.optimizer_g)
        self.d.requires_grad_(True)
        if self.due(self.path_length):
            shrink = self.path_length[1].get("shrink", 2)
            loss = self.path_length_loss(self.latents(max(n // shrink, 1)))
            update(loss, self.optimizer_g)
        if self.due(self.r1):
            update(self.r1_loss(real), self.optimizer_d)
        self.follow()
        return loss_d.detach(), loss_g.detach()

    def due(self, lazy):
        """Whether a lazy term is, in this step."""
        return bool(lazy[0]) and self.n_steps % lazy[0] == 0

    def latents(self, n):
        """z [n, L]."""
        return torch.randn(n, self.config.latent, device=self.device)

    @torch.no_grad()
    def follow(self):
        """Moves the average towards the generator."""
        life, ramp = self.config.ema_half_life, self.config.ema_ramp
        if ramp:
            life = min(life, ramp * self.n_steps)
        share = 1 - 0.5 ** (1 / life)
        old, new = [[*x.parameters()] for x in (self.average, self.g)]
        torch._foreach_lerp_(old, new, share)
        for ours, theirs in zip(self.average.buffers(), self.g.buffers(), strict=True):
            ours.copy_(theirs)


def _lazy(part, name):
    """(interval, options) of the only term of a network; (None, {}) without one."""
    terms = [names.named(x, "penalties") for x in part.penalties]
    known = all(
        x == (name or x) and options.get("every", 1) > 1 for x, options in terms
    )
    if len(terms) > 1 or not known:
        raise ValueError(
            f"penalties: only {name}, with every above 1, has a counterpart in PyTorch"
        )
    return (terms[0][1]["every"], terms[0][1]) if terms else (None, {})
