"""Networks by name, and the names that are not known."""

import pytest

from gans import networks
from gans.networks import mlp


def test_make_returns_the_module_of_that_file():
    g = networks.make("Generator", "mlp", shape=(2,), widths=(4,), n_classes=3)
    assert g == mlp.Generator((2,), (4,), n_classes=3)
    assert networks.make("Critic", "mlp", slope=0.2) == mlp.Critic(slope=0.2)


def test_every_file_holds_both_players():
    for name in ("mlp", "dcgan", "resnet"):
        options = {"n_classes": 3, "condition": "concat", "dtype": "bfloat16"}
        g = networks.make("Generator", name, shape=(8, 8, 1), **options)
        d = networks.make("Critic", name, **options)
        assert (type(g).__name__, type(d).__name__) == ("Generator", "Critic")
        assert g.__module__ == d.__module__ == f"gans.networks.{name}"


@pytest.mark.parametrize(
    "role, network, options, message",
    [
        (
            "Generator",
            "dcgann",
            {},
            "generator.network: 'dcgann'.*dcgan, mlp, .*did you mean 'dcgan'",
        ),
        ("Critic", "resnett", {}, "critic.network: 'resnett'.*did you mean 'resnet'"),
        (
            "Critic",
            "mlp",
            {"width": (4,)},
            "option of mlp.Critic: 'width'.*slope, widths; did you mean 'widths'",
        ),
        ("Generator", "dcgan", {"spectral": True}, "dcgan.Generator: 'spectral'"),
        # Flax's own fields are not options.
        ("Critic", "mlp", {"name": "d"}, "option of mlp.Critic: 'name'"),
        ("Critic", "mlp", {"parent": None}, "option of mlp.Critic: 'parent'"),
    ],
)
def test_unknown_names(role, network, options, message):
    with pytest.raises(ValueError, match=message):
        networks.make(role, network, **options)
