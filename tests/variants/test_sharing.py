"""Four devices share the work of every variant's step: each does a quarter of it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
VARIANTS = sorted(
    p.stem for p in (ROOT / "gans" / "variants").glob("*.py") if p.stem != "__init__"
)
# Those that have other data.
OTHERS = ("cyclegan", "gan3d", "gan_cls", "pix2pix", "srgan", "tadgan", "tgan")


def flops(variants, devices):
    """FLOPs per device of a step of each variant, by XLA's cost analysis."""
    count = f"--xla_force_host_platform_device_count={devices}"
    flags = f"{os.environ['XLA_FLAGS']} {count} --xla_backend_optimization_level=0"
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, *variants]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_four_devices_do_a_quarter_each():
    one, four = flops(VARIANTS, 1), flops(VARIANTS, 4)
    shares = {name: four[name] / one[name] for name in VARIANTS}
    assert all(share <= 0.3 for share in shares.values()), shares


@pytest.mark.slow
def test_without_the_mesh_in_context_they_would_not():
    """The negative control: fakes that are not split are made whole by each."""
    one, four = flops(["dcgan"], 1), flops(["dcgan", "--whole"], 4)
    assert four["dcgan"] > 0.4 * one["dcgan"]


def main(variants):
    """Prints {variant: FLOPs} of steps over all devices, with plain convolutions."""
    import contextlib
    import functools
    import importlib

    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    from experiments import config as configs
    from gans import core
    from gans.data import spec as specs
    from gans.layers.conv import forms, maps

    # The forms tuned for a CPU reshape the batch, which XLA then does not share.
    for primitive, plain in (
        (maps._convolution, forms.plain),
        (maps._input_gradient, forms.plain_input_gradient),
        (maps._kernel_gradient, forms.plain_kernel_gradient),
    ):
        maps._define_lowering(primitive, plain, plain)
    sys.path.insert(0, str(ROOT / "tests"))
    tiny = importlib.import_module("conftest")._tiny
    whole = "--whole" in variants
    mesh = Mesh(np.array(jax.devices()), ("batch",))
    found = {}
    for variant in variants:
        if variant.startswith("--"):
            continue
        config = tiny(variant, None if variant in OTHERS else "digits")
        if "n_critic" in config:
            config.n_critic = 1
        # Wide enough for the networks to outweigh the optimiser, which is not shared.
        config.batch_size = 64
        gan = configs.build(config)
        spec = specs.from_json(config.spec.to_dict())
        split = NamedSharding(mesh, P("batch"))
        batch = {
            name: jax.ShapeDtypeStruct(
                (config.batch_size, *x.shape), x.dtype, sharding=split
            )
            for name, x in specs.decoded(spec).items()
        }
        key = jax.random.key(0)
        state = jax.eval_shape(functools.partial(core.init, gan), key)
        step = jax.jit(core.make_step(gan), out_shardings=NamedSharding(mesh, P()))
        with contextlib.nullcontext() if whole else jax.set_mesh(mesh):
            compiled = step.lower(state, batch, key).compile()
        found[variant] = float(jnp.float32(compiled.cost_analysis()["flops"]))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
