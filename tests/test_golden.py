"""The state after 20 steps of every variant's presets, as it was when it was recorded.

Moving code must not change a bit. Bits depend on the processor and on XLA, so they
are compared only where those are the recorded ones; elsewhere norms must agree.

    python tests/test_golden.py    # records golden.json anew
"""

import functools
import hashlib
import json
import os
import pathlib
import platform

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
import pytest

from experiments import config as configs
from gans import core

KEPT = pathlib.Path(__file__).with_name("golden.json")
FIELDS = ("params", "stats", "opt", "ema", "aux")
STEPS = 20
# Compiled with little effort by default; the oldest records are of the other options.
OPTIONS = {
    "quick": {
        "xla_backend_optimization_level": 0,
        "xla_cpu_use_fusion_emitters": False,
    },
    "states": {
        "xla_backend_optimization_level": 1,
        "xla_cpu_use_fusion_emitters": True,
    },
}
CASES = {
    "gan": ("circle", "digits"),
    "dcgan": ("digits", "folder"),
    "lsgan": ("digits",),
    "wgan": ("digits",),
    "wgan_gp": ("digits", "cifar10_cnn", "cifar10", "ring8"),
    "sngan": ("digits", "cifar10"),
    "cgan": ("digits", "digits_concat", "cifar10"),
    "sagan": ("digits",),
}
NAMES = [
    f"{variant}:{preset}" for variant, presets in CASES.items() for preset in presets
]
FIRST = [f"{variant}:{presets[0]}" for variant, presets in CASES.items()]


def to_float(images):
    """uint8 in 0 .. 255 -> float32 in [-1, 1], by NumPy."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def machine():
    """What the bits depend on."""
    cpu = platform.processor() or platform.machine()
    cores = os.cpu_count()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        lines = [x for x in info.read_text().splitlines() if x.startswith("model name")]
        cpu = lines[0].partition(":")[2].strip() if lines else cpu
        cores = len(os.sched_getaffinity(0))
    return {
        "cpu": cpu,
        "cores": cores,  # XLA makes a thread for each
        "jaxlib": jaxlib.__version__,
        "backend": jax.default_backend(),
    }


def after_steps(name, options, tiny):
    """The state of a tiny version of the preset, on batches drawn by numpy."""
    variant, _, preset = name.partition(":")
    config = tiny(variant, preset)
    gan = configs.build(config)
    random = np.random.default_rng(0)
    shape = (STEPS, config.batch_size, *config.shape)
    if len(config.shape) == 3:
        batches = {"image": to_float(random.integers(0, 256, shape).astype(np.uint8))}
        batches["label"] = random.integers(0, 3, shape[:2]).astype(np.int32)
    else:
        batches = {"point": random.standard_normal(shape).astype(np.float32)}
    # As recorded. Not scanned: loops and single steps round differently.
    jit = functools.partial(jax.jit, compiler_options=options)
    step = jit(core.make_step(gan))
    state = jit(functools.partial(core.init, gan))(jax.random.key(1))
    for i in range(STEPS):
        batch = {field: jnp.asarray(x[i]) for field, x in batches.items()}
        state, _ = step(state, batch, jax.random.key(2))
    return state


def figures(state):
    """{"params/g": [sha256, Euclidean norm]} of what the state holds."""
    found = {}
    for field in FIELDS:
        for name, tree in sorted(getattr(state, field).items()):
            leaves = [np.asarray(x) for x in jax.tree.leaves(tree)]
            digest = hashlib.sha256(b"".join(x.tobytes() for x in leaves)).hexdigest()
            norm = np.sqrt(sum((x.astype(np.float64) ** 2).sum() for x in leaves))
            found[f"{field}/{name}"] = [digest[:16], float(norm)]
    return found


@pytest.mark.parametrize(
    "options, name",
    [
        pytest.param(
            options,
            name,
            # The default tests have one preset of a variant.
            marks=() if options == "quick" and name in FIRST else pytest.mark.slow,
        )
        for options in OPTIONS
        for name in NAMES
    ],
)
def test_the_state_is_what_it_was(options, name, tiny):
    kept = json.loads(KEPT.read_text())
    found = figures(after_steps(name, OPTIONS[options], tiny))
    expected = kept[options][name]
    assert found.keys() == expected.keys()
    for part, (digest, norm) in found.items():
        np.testing.assert_allclose(norm, expected[part][1], rtol=2e-3, err_msg=part)
        if kept["machine"] == machine():
            assert digest == expected[part][0], part


if __name__ == "__main__":
    from conftest import _tiny

    found = {
        kind: {name: figures(after_steps(name, options, _tiny)) for name in NAMES}
        for kind, options in OPTIONS.items()
    }
    KEPT.write_text(json.dumps({"machine": machine(), **found}, indent=1))
