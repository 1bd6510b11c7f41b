"""Generators and critics, one architecture per file, and `make` to get one by name.

A generator is called as `module(z [B, L], label=None, train=bool)` and returns data
[B, *shape], images in [-1, 1]; a critic as `module(x [B, *shape], label=None,
train=bool)` and returns logits [B]; both in float32 whatever their `dtype`. A critic's
`mixes_batch` says whether a logit depends on other examples of its batch, as it does
with batch norm and with `minibatch`.

The slots for a `norm` follow a hidden layer and come before its activation: "batch",
"pixel" (arXiv 1710.10196, section 4.2), "virtual" (by `n_reference` examples of the
network's own input, kept in the collection `reference`: see `gans.layers.virtual`).
`spectral` and `equalised` are of the kernels of layers; the embeddings of
condition="concat" and the tensor of minibatch discrimination stay as they are.
"""

import dataclasses

from flax import linen as nn

from gans import names


def make(role: str, network: str, **options) -> nn.Module:
    """Returns `gans.networks.{network}`'s `Generator` or `Critic`.

    Args:
      role: "Generator" or "Critic".
      network: the name of a file of this folder.
      **options: fields of the module.

    Raises ValueError for an unknown network or option, with what is accepted.
    """
    module = names.module(network, __name__, f"{role.lower()}.network")
    cls = getattr(module, role)
    fields = {f.name for f in dataclasses.fields(cls)} - {"parent", "name"}
    if options.get("norm") is None and "norm" not in fields:
        options.pop("norm", None)
    names.options(fields, options, f"{network}.{role}, which has no such slot")
    return cls(**options)
