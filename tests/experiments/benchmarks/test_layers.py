from importlib import util

import pytest

from experiments.benchmarks import layers, timing
from experiments.benchmarks.timing import Result


def test_the_convolutions_of_a_step_are_found_wherever_they_are(tiny):
    # n_critic=2 puts the generator's update into a branch.
    config = tiny("wgan_gp", "digits", n_critic=2)
    found = layers.convolutions(config)
    by_kind = {
        kind: sum(n for one, n in found.items() if one.kind == kind)
        for kind in ("forward", "input gradient", "kernel gradient")
    }
    # Discriminator of 2 convolutions, generator of 2 transposed (t) and one convolution
    # (c). The discriminator's update: the generator (2 t, 1 c), real and fake (2),
    # mixed (2), slopes (2 gradients), then kernel gradients of real and fake (2), of
    # the slopes (2), and on the way back one input gradient of real and fake and 2
    # forward for the slopes. The generator's: forward (2 t, 1 c, 2), back 2 + 1 input
    # gradients (its transposed ones being 2 forward), and 3 kernel gradients.
    assert by_kind["kernel gradient"] == 2 + 2 + 3
    assert by_kind["forward"] == 1 + 2 + 2 + 2 + 1 + 2 + 2
    assert by_kind["input gradient"] == 2 + 2 + 1 + 2 + 2 + 1


@pytest.mark.slow
def test_layers_are_timed_against_lax_and_pytorch(tiny):
    against = "torch" if util.find_spec("torch") else None
    config = tiny("dcgan", "digits")
    found = layers.benchmark(config, against=against, rounds=1, seconds=0.0)
    assert len(found["layers"]) == len(layers.convolutions(config))
    expected = {"jax", "lax"} | ({"torch", "torch channels_last"} if against else set())
    for row in found["layers"]:
        assert set(row["ms"]) == expected
        assert all(ms > 0 for ms in row["ms"].values())
    text = layers.table({"config": "c", "batch_size": 4, **found})
    # Heading, columns, rows, total, and that each is a single cold run.
    assert text.count("\n") + 1 == 2 + len(found["layers"]) + 2
    assert "all of them" in text and timing.COLD_NOTE in text


def test_a_candidate_that_fails_is_named(tiny, monkeypatch):
    results = {"jax": Result(), "lax": Result(error="ValueError: no")}
    timed = []

    def time_in_rounds(candidates, cases, **_):
        timed.extend(c.name for c in candidates)
        return results

    monkeypatch.setattr(timing, "time_in_rounds", time_in_rounds)
    with pytest.raises(RuntimeError, match="lax: ValueError: no"):
        layers.benchmark(tiny("dcgan", "digits"))
    assert timed == ["jax", "lax"]  # PyTorch only if wanted
