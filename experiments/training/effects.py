"""Whether two configs would train and be scored alike, whatever their keys say."""

from __future__ import annotations

import functools
import hashlib
import json
import re

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from experiments import config as configs
from experiments.training.floats import blank
from gans import core

# What a run depends on beside its traced steps: the data, and which numbers are drawn.
_DATA = "data resolution channels n_classes flip jitter skip_corrupt".split()
_DATA += "batch_size steps seed".split()


def digest(config: ConfigDict) -> str:
    """Returns a digest of what a resolved config computes.

    It is of the traced steps and outputs of every stage, the data and the seed. A key
    that nothing reads, or that another one replaces, leaves it as it is. Nothing is
    compiled; tracing takes about a second.
    """
    parts = {key: config[key] for key in _DATA}
    if config.stride > 1:  # so that results without clips keep their digests
        parts["stride"] = config.stride
    if config.data_weights:  # likewise
        parts["data_weights"] = config.data_weights
    found = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode())
    for stage in range(len(configs.stages(config))):
        found.update(of_stage(config, stage).encode())
    return found.hexdigest()


def of_stage(config: ConfigDict, stage: int) -> str:
    """Returns a digest of the traced step and outputs of one stage alone."""
    computed = functools.partial(_all, configs.build(config, stage))
    traced = jax.make_jaxpr(computed)(blank(config, stage), jax.random.key(0))
    # Names of functions have their addresses.
    text = re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr))
    found = hashlib.sha256(text.encode())
    for constant in jax.tree.leaves(traced.consts):
        found.update(jnp.asarray(constant).tobytes())
    return found.hexdigest()


def _all(gan, batch, key):
    """A step from the first state, and every output."""
    state, metrics = core.make_step(gan)(core.init(gan, key), batch, key)
    inputs = gan.inputs(key, batch)
    return (
        state,
        metrics,
        [core.sample(gan, state, inputs, key, x) for x in gan.outputs],
    )
