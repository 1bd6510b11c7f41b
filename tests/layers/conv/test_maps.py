"""The maps under vmap, loops, branches, checkpoint, linearize and sharding."""

import functools
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from gans.layers.conv import conv, forms, maps
from gans.layers.conv.geometry import Geometry

# Ten times less to compile, and the operations are the same.
quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def assert_close(a, b):
    a, b = jax.device_get((a, b))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), a, b)


GROUPS = 2
WALK = Geometry((7, 6), (3, 2), (4, 3), (2, 2), (1, 0), GROUPS)
SHAPES = {"x": (2, 7, 6, 4), "w": (3, 2, 2, 6), "y": (2, 4, 3, 6)}
MAPS = {
    "xw": (maps.convolution, forms.plain),
    "yw": (maps.input_gradient, forms.plain_input_gradient),
    "xy": (maps.kernel_gradient, forms.plain_kernel_gradient),
}


@pytest.mark.parametrize("operands", MAPS)
def test_forward_mode_and_linearize(operands):
    ours, plain = MAPS[operands]
    a, b, da, db = (normal(i, *SHAPES[name]) for i, name in enumerate(2 * operands))

    @quick_jit
    def tangents(a, b, da, db):
        # A product is linear in each factor, and so is its tangent.
        terms = plain(da, b, WALK), plain(a, db, WALK)
        f = functools.partial(ours, geometry=WALK)
        _, tangent = jax.jvp(f, (a, b), (da, db))
        _, linear = jax.linearize(f, a, b)
        return terms, tangent, linear(da, db)

    terms, tangent, linear = jax.device_get(tangents(a, b, da, db))
    assert_close(tangent, sum(terms))
    assert_close(linear, sum(terms))
    assert abs(terms[0]).max() > 0.1 and abs(terms[1]).max() > 0.1


@pytest.mark.parametrize("axes", [(1, None), (None, -1), (0, 0), (2, 1)])
@pytest.mark.parametrize("operands", MAPS)
def test_vmap(operands, axes):
    ours, plain = MAPS[operands]
    a, b = (
        normal(i, *SHAPES[name])
        if axis is None
        else np.stack([normal(10 * i + j, *SHAPES[name]) for j in range(3)], axis)
        for i, (name, axis) in enumerate(zip(operands, axes, strict=True))
    )

    @quick_jit
    def both(a, b):
        one_by_one = [
            plain(
                a if axes[0] is None else jnp.take(a, i, axes[0]),
                b if axes[1] is None else jnp.take(b, i, axes[1]),
                WALK,
            )
            for i in range(3)
        ]
        mapped = jax.vmap(functools.partial(ours, geometry=WALK), axes)(a, b)
        return mapped, jnp.stack(one_by_one)

    mapped, one_by_one = both(a, b)
    assert_close(mapped, one_by_one)
    assert abs(one_by_one[0] - one_by_one[1]).max() > 0.1


def loss(w, x, f=conv):
    return jnp.sum(f(x, w, strides=2) ** 3)


def lax_conv(x, w, strides):
    return lax.conv_general_dilated(
        x, w, (strides, strides), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def lax_loss(w, x):
    return loss(w, x, lax_conv)


def test_vmap_of_grad_of_vmap():
    w, x = normal(0, 3, 4, 4, 3, 5), normal(1, 2, 3, 2, 8, 8, 3)

    def total(f):
        def seeds(w, x):
            return jnp.sum(jax.vmap(f)(w, x))

        return jax.vmap(jax.grad(seeds), (None, 0))(w, x)

    assert_close(*quick_jit(lambda: (total(loss), total(lax_loss)))())


def test_scan_while_and_cond():
    w, x = normal(0, 3, 3, 2, 4) / 10, normal(1, 2, 5, 5, 2)

    def descend(f):
        def step(w, _):
            g = jax.grad(lambda w: jnp.sum(jax.grad(f)(w, x) ** 2))(w)
            return w - 1e-3 * g, jnp.sum(g**2)

        def guarded(w):
            return lax.cond(w[0, 0, 0, 0] < 1e9, jax.grad(f), lambda w, x: w, w, x)

        return (
            lax.scan(step, w, length=3),
            lax.fori_loop(0, 3, lambda _, w: step(w, None)[0], w),
            guarded(w),
            jax.grad(lambda w: jnp.sum(lax.scan(step, w, length=2)[1]))(w),
        )

    ours, plain = quick_jit(lambda: (descend(loss), descend(lax_loss)))()
    assert_close(ours, plain)


def test_checkpoint():
    w, x = normal(0, 3, 3, 2, 4), normal(1, 2, 5, 5, 2)

    def penalty(f):
        return jax.grad(lambda w: jnp.sum(jax.grad(jax.checkpoint(f))(w, x) ** 2))(w)

    ours, plain = quick_jit(lambda: (penalty(loss), penalty(lax_loss)))()
    assert_close(ours, plain)


def test_without_jit():
    w, x = normal(0, 3, 3, 2, 4), normal(1, 2, 5, 5, 2)
    assert_close(loss(w, x), lax_loss(w, x))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_elsewhere_than_on_a_cpu_the_plain_operations_serve(platform):
    w, x = normal(0, 2, 3, 3, 3, 5), normal(1, 2, 4, 8, 8, 3)

    def lower(f):
        mapped = jax.jit(jax.vmap(jax.value_and_grad(f)))
        text = mapped.trace(w, x).lower(lowering_platforms=(platform,)).as_text()
        return text.count("stablehlo.convolution"), text.count("stablehlo.while")

    assert lower(loss) == lower(lax_loss) == (2, 0)


def test_shard_map_must_not_check():
    # With the check on, a primitive has to sum gradients over devices by itself.
    w, x = normal(0, 3, 3, 2, 4), normal(1, 2, 5, 5, 2)
    mesh = Mesh(jax.devices()[:1], ("data",))
    shard = functools.partial(
        jax.shard_map,
        jax.grad(loss),
        mesh=mesh,
        in_specs=(P(), P("data")),
        out_specs=P(),
    )
    assert_close(jax.jit(shard(check_vma=False))(w, x), jax.grad(loss)(w, x))
    with pytest.raises(NotImplementedError, match="check_vma=False"):
        jax.jit(shard())(w, x)


SHARDED = """
    import jax, jax.numpy as jnp, numpy as np
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
    from gans.layers.conv import conv, conv_transpose

    jax.config.update("jax_enable_x64", True)
    assert jax.device_count() == 8
    mesh = Mesh(np.array(jax.devices()), "data")
    draw = np.random.default_rng(0).normal
    x, w, v = draw(size=(16, 8, 8, 3)), draw(size=(4, 4, 3, 5)), draw(size=(4, 4, 5, 3))

    def loss(w, v, x):
        y = conv_transpose(conv(x, w, strides=2), v, strides=2)
        return jnp.sum(y**3), y

    def step(w, v, x):
        grads, y = jax.grad(loss, (0, 1), has_aux=True)(w, v, x)
        return grads, y

    options = {"xla_backend_optimization_level": 0}
    plain = jax.jit(step, compiler_options=options)(w, v, x)
    rows, all = NamedSharding(mesh, P("data")), NamedSharding(mesh, P())
    inputs = [jax.device_put(a, s) for a, s in [(w, all), (v, all), (x, rows)]]
    program = jax.jit(
        step, out_shardings=((all, all), rows), compiler_options=options
    ).lower(*inputs).compile()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-8),
        program(*inputs), plain,
    )
    text = program.as_text()
    assert "all-reduce" in text, "the gradient is summed over devices"
    assert "all-gather" not in text, "no device sees another's images"
    print("sharded")
"""


@pytest.mark.slow
def test_eight_devices():
    flags = os.environ.get("XLA_FLAGS", "")
    flags += " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARDED)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "sharded\n", done.stderr
