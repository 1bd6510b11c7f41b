import pytest

from experiments.expressions import expand


@pytest.mark.parametrize(
    "value, expected",
    [
        ("r1", "r1"),
        (" r1() ", "r1"),
        ("r1(weight=10, every=16)", {"name": "r1", "weight": 10, "every": 16}),
        (
            "ada(target=-0.5, policy='color')",
            {"name": "ada", "target": -0.5, "policy": ("color",)},
        ),
        ("x(a=(1, 2), b=None)", {"name": "x", "a": (1, 2), "b": None}),
        ("fid(output=a_to_b)", {"name": "fid", "output": "a_to_b"}),
        (("r1", "r2(weight=1)"), ("r1", {"name": "r2", "weight": 1})),
        ({"a": {"b": "c(d=1)"}}, {"a": {"b": {"name": "c", "d": 1}}}),
        (3, 3),
        (None, None),
        ("a.b", "a.b"),
        (
            "my.losses.softplus(margin=0.1)",
            {"name": "my.losses.softplus", "margin": 0.1},
        ),
        ("my.losses:softplus( x=1 )", {"name": "my.losses:softplus", "x": 1}),
        ("my.losses:softplus()", "my.losses:softplus"),
        ("stacked:digits", "stacked:digits"),
    ],
)
def test_calls_are_expanded(value, expected):
    assert expand(value, "here") == expected
    assert expand(expected, "here") == expected, "not once and for all"


@pytest.mark.parametrize(
    "value",
    ["r1(10)", "r1(weight=w.x)", "r1(weight=1", "x(**{})", "x(a=__import__('os'))",
     "x(name='y')", "x()()", "x(1) + 2"],
)  # fmt: skip
def test_calls_of_another_form_are_rejected(value):
    with pytest.raises(ValueError, match=r"here\[0\]: .*is neither NAME nor"):
        expand((value,), "here")


def test_a_policy_in_a_string_is_a_tuple_of_its_names():
    found = expand({"policy": "color, cutout"}, "here")
    assert found == {"policy": ("color", "cutout")}
    assert expand("ada(policy='color,cutout')", "here")["policy"] == (
        "color",
        "cutout",
    )
