"""StyleGAN3's generator in PyTorch, by its operators alone: no kernels of their own.

Arrays have the names of the public implementation's state dict.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from experiments.benchmarks.torch_reference.styled import Linear, Mapping, scaled
from gans.layers.alias_free import plan
from gans.networks.stylegan3 import SCALE, bands


def filtered_lrelu(x, up_filter, down_filter, up, down, pad, clamp):
    """x [B, C, H, W], activated at `up` times its rate, by filters [K] or [K, K]."""
    low, high = pad
    reach = len(up_filter) - 1
    sides = 2 * [low - reach, high - reach + up - 1]  # of what conv_transpose makes
    x = _separable(F.conv_transpose2d, x, up_filter * up, up)
    x = F.leaky_relu(F.pad(x, sides), 0.2) * math.sqrt(2)
    if clamp is not None:
        x = x.clamp(-clamp, clamp)
    if down_filter.ndim == 1:
        return _separable(F.conv2d, x, down_filter, down)
    channels = x.shape[1]
    taps = down_filter.expand(channels, 1, *down_filter.shape)
    return F.conv2d(x, taps, stride=down, groups=channels)


def _separable(convolution, x, taps, stride):
    channels = x.shape[1]
    for shape, strides in (((-1, 1), (stride, 1)), ((1, -1), (1, stride))):
        each = taps.reshape(shape)
        each = each.expand(channels, 1, *each.shape)
        x = convolution(x, each, stride=strides, groups=channels)
    return x


class Input(nn.Module):
    """Sines that w moves and turns; `transform` [3, 3] is applied after that."""

    def __init__(self, w_dim, band):
        super().__init__()
        self.band, n = band, band.channels
        self.weight = nn.Parameter(torch.randn(n, n))
        self.affine = Linear(w_dim, 4)
        with torch.no_grad():
            self.affine.weight.zero_()
            self.affine.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        frequencies = torch.randn(n, 2)
        squares = frequencies.square().sum(1, keepdim=True)
        frequencies = frequencies / squares.sqrt() * (-squares / 4).exp()
        self.register_buffer("freqs", frequencies * band.cutoff)
        self.register_buffer("phases", torch.rand(n) - 0.5)
        self.register_buffer("transform", torch.eye(3))

    def forward(self, w):
        band, t = self.band, self.affine(w)
        c, s, x, y = (t / t[:, :2].norm(dim=1, keepdim=True)).unbind(1)
        zero, one = torch.zeros_like(c), torch.ones_like(c)
        turn = torch.stack([c, -s, zero, s, c, zero, zero, zero, one], 1)
        move = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], 1)
        moved = turn.reshape(-1, 3, 3) @ move.reshape(-1, 3, 3) @ self.transform
        phases = self.phases + (self.freqs @ moved[:, :2, 2:])[:, :, 0]
        waves = self.freqs @ moved[:, :2, :2]
        half = band.rate / 2
        amplitudes = ((half - waves.norm(dim=2)) / (half - band.cutoff)).clamp(0, 1)
        places = torch.arange(band.size, device=w.device) + 0.5 - band.size / 2
        y, x = torch.meshgrid(2 * [places / band.rate], indexing="ij")
        grid = torch.stack([x, y], -1).reshape(-1, 2)
        turns = grid @ waves.transpose(1, 2) + phases[:, None]
        x = torch.sin(2 * math.pi * turns) * amplitudes[:, None]
        x = x @ self.weight.T / math.sqrt(band.channels)
        return x.transpose(1, 2).reshape(len(w), -1, band.size, band.size)


class Layer(nn.Module):
    """A layer between two bands; the last one, to the image, has no filters."""

    def __init__(self, w_dim, before, after, rotation, last, half_life, clamp):
        super().__init__()
        size = 1 if rotation or last else 3
        n, outputs = before.channels, after.channels
        self.affine = Linear(w_dim, n, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, n, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("magnitude_ema", torch.ones(()))
        self.last, self.half_life, self.clamp, self.pad = last, half_life, clamp, 0
        if not last:
            made = plan(before, after, size, rotation)
            for name in ("up_filter", "down_filter"):
                taps = np.asarray(getattr(made, name), np.float32)
                self.register_buffer(name, torch.tensor(taps))
            self.rates, self.pad = (made.up, made.down, made.pad), size - 1

    def forward(self, x, w):
        if self.training:
            share = 1 - 0.5 ** (len(x) / self.half_life)
            self.magnitude_ema.lerp_(x.detach().square().mean(), share)
        gain, style = self.magnitude_ema.rsqrt(), self.affine(w)
        if self.last:
            style = style * gain / math.sqrt(x.shape[1])
            x = F.conv2d(x * style[:, :, None, None], self.weight)
            x = x + self.bias[:, None, None]
            return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        x = scaled(x, self.weight, style, pad=self.pad) * gain
        x = x + self.bias[:, None, None]
        up, down, pad = self.rates
        taps = self.up_filter, self.down_filter
        return filtered_lrelu(x, *taps, up, down, pad, self.clamp)


class Synthesis(nn.Module):
    def __init__(self, w_dim, found, rotation, half_life, clamp):
        super().__init__()
        self.input, self.names = Input(w_dim, found[0]), []
        last = len(found) - 1
        for i, band in enumerate(found):
            self.names.append(f"L{i}_{band.size}_{band.channels}")
            before, own = found[max(i - 1, 0)], (rotation, i == last)
            layer = Layer(w_dim, before, band, *own, half_life, clamp)
            self.add_module(self.names[-1], layer)

    def forward(self, ws):
        """Images [B, C, H, W] of ws [B, n, w_dim]."""
        x = self.input(ws[:, 0])
        for name, w in zip(self.names, ws.unbind(1)[1:], strict=True):
            x = getattr(self, name)(x, w)
        return x * SCALE


class Generator(nn.Module):
    def __init__(
        self,
        shape,
        latent,
        w_dim=512,
        mapping_layers=2,
        depth=14,
        channel_base=32768,
        channel_max=512,
        rotation=False,
        magnitude_images=20_000,
        clamp=256.0,
        **_,
    ):
        super().__init__()
        self.mapping = Mapping(latent, w_dim, mapping_layers)
        found = bands(tuple(shape), depth, channel_base, channel_max)
        options = rotation, magnitude_images, clamp
        self.synthesis = Synthesis(w_dim, found, *options)
        self.n_ws = depth + 2

    def forward(self, z):
        return self.synthesis(self.styles(z))

    def styles(self, z, track=True):
        """ws [B, n_ws, w_dim]; `track` moves the average."""
        w = self.mapping(z)
        if track:
            self.mapping.w_avg.lerp_(w.detach().mean(0), 0.002)
        return w[:, None].repeat(1, self.n_ws, 1)
