"""State dicts of torch: layers, norms, layouts, what belongs to none."""

import numpy as np
import pytest

from gans.layers import saved


def state(**extra):
    draw = np.random.default_rng(0).normal
    return {
        "a.0.weight": draw(size=(4, 3, 2, 2)),
        "a.0.bias": draw(size=4),
        "a.1.weight": draw(size=4),
        "a.1.bias": draw(size=4),
        "a.1.running_mean": draw(size=4),
        "a.1.running_var": draw(size=4),
        "a.1.num_batches_tracked": np.array(7),
        "b.weight": draw(size=(4, 5, 3, 3)),
        **extra,
    }


def test_arrays_find_their_places():
    given = state()
    a, b = saved.layers(given)
    assert (a.name, b.name) == ("a.0", "b") and b.bias is None and b.norm == {}
    made = saved.variables([a, b], ["x", "y"], ["n", "m"], (1,), (1,))
    params = made["params"]
    assert set(params) == {"x", "n", "y"} and set(params["x"]) == {"kernel"}
    # [O, I, K, K] to [K, K, I, O]; of a transposed one [I, O, K, K] to [K, K, O, I].
    kernel = params["x"]["kernel"]
    assert kernel.shape == (2, 2, 3, 4) and params["y"]["kernel"].shape == (3, 3, 5, 4)
    assert kernel[1, 0, 2, 3] == given["a.0.weight"][3, 2, 1, 0]
    np.testing.assert_array_equal(params["y"]["bias"], np.zeros(5))
    np.testing.assert_array_equal(params["n"]["batch"]["scale"], given["a.1.weight"])
    np.testing.assert_array_equal(params["n"]["batch"]["bias"], given["a.1.bias"])
    kept = made["batch_stats"]["n"]["batch"]
    np.testing.assert_array_equal(kept["mean"], given["a.1.running_mean"])
    np.testing.assert_array_equal(kept["var"], given["a.1.running_var"])


def test_norms_are_known_by_what_they_leave():
    def norm(*kinds, bias=False):
        kept = {f"a.1.{kind}": np.ones(4) for kind in kinds}
        kept |= {"a.0.bias": np.ones(4)} if bias else {}
        return saved.norm(
            saved.layers({"a.0.weight": np.ones((4, 3, 2, 2)), **kept})[0]
        )

    both, running = ("weight", "bias"), ("running_mean", "running_var")
    assert norm(*both, *running) == {"name": "batch", "unbiased": True}
    assert norm(*both) == {"name": "instance", "affine": True}
    plain = {"name": "instance", "affine": False}
    assert norm(*running) == norm(bias=True) == plain
    assert norm() is None


@pytest.mark.parametrize(
    "name, shape", [("c.weight", (3, 4)), ("c.weights", (3,)), ("c.weight_u", (3,))]
)
def test_what_belongs_to_no_layer_is_named(name, shape):
    with pytest.raises(ValueError, match=f"'{name}' of shape .* belongs to no conv"):
        saved.layers(state(**{name: np.ones(shape)}))
