"""TGAN's networks in PyTorch, counterparts of those in gans/networks/video.py."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Generator(nn.Module):
    """z [B, L] -> clips [B, C, T, H, W]; the two latents are joined as in the paper."""

    def __init__(self, shape, latent, widths, frame_widths, frame_latent, **_):
        super().__init__()
        frames, *side, channels = shape
        self.frames, scale = frames, 2 ** (len(widths) - 1)
        self.first = (side[0] // scale, side[1] // scale, widths[0] // 2)
        self.temporal = Temporal(frames, latent, frame_widths, frame_latent)
        for name, size in (("clip", latent), ("frame", frame_latent)):
            dense = nn.Linear(size, math.prod(self.first), bias=False)
            self.add_module(f"dense_{name}", dense)
            self.add_module(f"norm_{name}", nn.BatchNorm1d(math.prod(self.first)))
        self.n = len(widths)
        for i in range(1, self.n):
            deconv = nn.ConvTranspose2d(widths[i - 1], widths[i], 4, 2, 1, bias=False)
            self.add_module(f"deconv{i}", deconv)
            self.add_module(f"norm{i}", nn.BatchNorm2d(widths[i]))
        self.out = nn.Conv2d(widths[-1], channels, 3, padding=1)

    def forward(self, z):
        z = torch.erf(z / math.sqrt(2))
        frames = self.temporal(z).transpose(1, 2).flatten(0, 1)
        clip = F.relu(self.norm_clip(self.dense_clip(z)))
        clip = clip.repeat_interleave(self.frames, 0)
        frame = F.relu(self.norm_frame(self.dense_frame(frames)))
        maps = [x.view(-1, *self.first).permute(0, 3, 1, 2) for x in (clip, frame)]
        h = torch.cat(maps, 1)
        for i in range(1, self.n):
            h = F.relu(getattr(self, f"norm{i}")(getattr(self, f"deconv{i}")(h)))
        clips = torch.tanh(self.out(h))
        return clips.view(-1, self.frames, *clips.shape[1:]).transpose(1, 2)


class Temporal(nn.Module):
    """z [B, L] -> latents of frames [B, features, T]."""

    def __init__(self, frames, latent, widths, features):
        super().__init__()
        self.n, self.shortest = len(widths), frames // 2 ** len(widths)
        self.dense = nn.Linear(latent, self.shortest * widths[0])
        for i in range(self.n):
            last = features if i == self.n - 1 else widths[i + 1]
            self.add_module(f"norm{i}", nn.BatchNorm1d(widths[i]))
            deconv = nn.ConvTranspose1d(widths[i], last, 4, 2, 1)
            self.add_module(f"deconv{i + 1}", deconv)

    def forward(self, z):
        h = self.dense(z).view(len(z), self.shortest, -1).transpose(1, 2)
        for i in range(self.n):
            h = F.relu(getattr(self, f"norm{i}")(h))
            h = getattr(self, f"deconv{i + 1}")(h)
        return torch.tanh(h)


class Discriminator(nn.Module):
    """Clips [B, C, T, H, W] -> logits [B]; batch norm has no bias."""

    def __init__(self, shape, widths, **_):
        super().__init__()
        *size, channels = shape
        self.n = len(widths)
        for i, c in enumerate(widths):
            kernel = [4 if n > 1 else 1 for n in size]
            strides = [2 if n > 1 else 1 for n in size]
            pads = [1 if n > 1 else 0 for n in size]
            self.add_module(f"conv{i}", nn.Conv3d(channels, c, kernel, strides, pads))
            norm = nn.Identity()
            if i:
                norm = nn.BatchNorm3d(c)
                norm.bias.requires_grad_(False)
            self.add_module(f"norm{i}", norm)
            channels, size = c, [max(n // 2, 1) for n in size]
        self.out = nn.Conv3d(channels, 1, size)

    def forward(self, x):
        for i in range(self.n):
            x = getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x))
            x = F.leaky_relu(x, 0.2)
        return self.out(x).flatten()
