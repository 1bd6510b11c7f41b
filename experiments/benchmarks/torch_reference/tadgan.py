"""TadGAN in PyTorch: both critics, and each n_critic-th time encoder and generator.

LSTMs are PyTorch's own, which have no recurrent dropout.
"""

import torch
from torch import nn

from experiments.benchmarks.torch_reference.training import optimizer, update
from gans import names


class Encoder(nn.Module):
    """x [B, T, C] -> z [B, L]."""

    def __init__(self, shape, latent, width):
        super().__init__()
        length, channels = shape
        self.lstm = nn.LSTM(channels, width, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * width * length, latent)

    def forward(self, x):
        return self.out(self.lstm(x)[0].flatten(1))


class Generator(nn.Module):
    """z [B, L] -> [B, T, C]."""

    def __init__(self, shape, latent, width):
        super().__init__()
        self.length, channels = shape
        self.dense = nn.Linear(latent, -(-self.length // 2))
        options = {"batch_first": True, "bidirectional": True}
        self.lstm0 = nn.LSTM(1, width, **options)
        self.lstm1 = nn.LSTM(2 * width, width, **options)
        self.out = nn.Linear(2 * width, channels)

    def forward(self, z):
        h = self.lstm0(self.dense(z)[..., None])[0]
        h = self.lstm1(h.repeat_interleave(2, dim=1))[0]
        return torch.tanh(self.out(h[:, : self.length]))


class Discriminator(nn.Sequential):
    """x [B, T, C] -> logits [B]."""

    def __init__(self, shape, width, depth, dropout, kernel_size=5):
        length, channels = shape
        layers = []
        for i in range(depth):
            conv = nn.Conv1d(width if i else channels, width, kernel_size)
            layers += [conv, nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        length -= depth * (kernel_size - 1)
        super().__init__(*layers, nn.Flatten(), nn.Linear(width * length, 1))

    def forward(self, x):
        return super().forward(x.mT)[:, 0]


class LatentDiscriminator(nn.Sequential):
    """z [B, L] -> logits [B]."""

    def __init__(self, latent, width, dropout):
        layers = []
        for i in range(2):
            dense = nn.Linear(width if i else latent, width)
            layers += [dense, nn.LeakyReLU(0.2), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear(width, 1))

    def forward(self, z):
        return super().forward(z)[:, 0]


class Training:
    """All networks with their optimisers; `step` is what the benchmark times.

    Args: see `training.Training`. Raises ValueError without a counterpart.
    """

    format = torch.contiguous_format

    def __init__(
        self,
        config,
        *,
        device="cpu",
        channels_last=False,
        compiled=False,
        dtype=torch.float32,
    ):
        if compiled or dtype != torch.float32:
            raise ValueError("TadGAN is timed in float32, without torch.compile")
        g, d = config.generator, config.discriminator
        found = [names.named(x, "penalties") for x in d.penalties]
        if [name for name, _ in found] != ["gradient_penalty"] or (
            g.dropout or g.recurrent_dropout
        ):
            raise ValueError("the config's terms or dropout have no counterpart")
        self.config, self.n_steps, self.penalty = config, 0, found[0][1]["weight"]
        (field,) = config.spec.values()
        shape, latent = tuple(field["shape"]), config.latent
        self.e = Encoder(shape, latent, config.encoder_width).to(device)
        self.g = Generator(shape, latent, g.width).to(device)
        self.c_x = Discriminator(shape, d.width, d.depth, d.dropout).to(device)
        self.c_z = LatentDiscriminator(
            latent, config.latent_width, config.latent_dropout
        ).to(device)
        both = nn.ModuleList([self.e, self.g])
        self.optimizer_g = optimizer(both, g.optimizer)
        self.optimizers = [optimizer(c, d.optimizer) for c in (self.c_x, self.c_z)]

    def critic_loss(self, critic, real, fake, alpha):
        """[] of real and fake [B, ...], and alpha [B, 1, ...]."""
        on_real, on_fake = critic(torch.cat([real, fake])).chunk(2)
        mixed = (real + alpha * (fake - real)).requires_grad_()
        critic.eval()
        (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        critic.train()
        penalty = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
        return on_fake.mean() - on_real.mean() + self.penalty * penalty

    def generator_loss(self, x, z):
        """[] of x [B, T, C] and z [B, L]."""
        code = self.e(x)
        fake, again = self.g(torch.cat([z, code])).chunk(2)
        fooled = self.c_x(fake).mean() + self.c_z(code).mean()
        return self.config.cycle * ((x - again) ** 2).mean() - fooled

    def step(self, batch):
        """Updates on one batch of windows, {field: [B, T, C]}."""
        (x,) = batch.values()
        n = len(x)
        with torch.no_grad():
            fakes = self.g(self._latents(x)), self.e(x)
        pairs = (x, fakes[0]), (self._latents(x), fakes[1])
        for critic, by, (real, fake) in zip(
            (self.c_x, self.c_z), self.optimizers, pairs, strict=True
        ):
            alpha = torch.rand(n, *(1,) * (real.ndim - 1), device=x.device)
            update(self.critic_loss(critic, real, fake, alpha), by)
        self.n_steps += 1
        if self.n_steps % self.config.n_critic == 0:
            critics = nn.ModuleList([self.c_x, self.c_z]).requires_grad_(False)
            update(self.generator_loss(x, self._latents(x)), self.optimizer_g)
            critics.requires_grad_(True)

    def _latents(self, x):
        return torch.randn(len(x), self.config.latent, device=x.device)
