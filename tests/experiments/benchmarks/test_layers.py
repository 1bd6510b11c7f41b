import pytest

from experiments.benchmarks import layers
from experiments.benchmarks.layers import Call


def test_the_calls_of_a_step_are_found_wherever_they_are(tiny):
    # n_critic=2 puts the generator's move into a branch.
    config = tiny("wgan_gp", "digits", n_critic=2)
    found = layers.calls(config)
    by_kind = {
        kind: sum(n for call, n in found.items() if call.kind == kind)
        for kind in ("forward", "input gradient", "kernel gradient")
    }
    # Critic of 2 convolutions, generator of 2 transposed (t) and one convolution (c).
    # Critic's move: the generator (2 t, 1 c), real and fake (2), mixed (2), slopes
    # (2 gradients), then kernel gradients of real and fake (2), of the slopes (2), and
    # on the way back one input gradient of real and fake and 2 forward for the slopes.
    # Generator's: forward (2 t, 1 c, 2), back 2 + 1 input gradients (the generator's
    # transposed ones being 2 forward), and 3 kernel gradients.
    assert by_kind["kernel gradient"] == 2 + 2 + 3
    assert by_kind["forward"] == 1 + 2 + 2 + 2 + 1 + 2 + 2
    assert by_kind["input gradient"] == 2 + 2 + 1 + 2 + 2 + 1


def test_a_call_knows_its_shapes():
    geometry = ((8, 6), (4, 4), (4, 3), (2, 2), (1, 1), 1)
    x, w, y = (5, 8, 6, 2), (4, 4, 2, 7), (5, 4, 3, 7)
    for kind, a, b in (
        ("forward", x, w),
        ("input gradient", y, w),
        ("kernel gradient", x, y),
    ):
        call = Call(kind, a, b, geometry)
        assert (call.large, call.kernel, call.small) == (x, w, y)
        assert call.name == f"{kind} 5x8x6x2 4x4x2x7 /2"
        # 5 4 3 7 outputs, each a sum of 4 4 2 products.
        assert call.gflop == pytest.approx(2e-9 * 420 * 32)


@pytest.mark.parametrize("against", [None, "torch"])
def test_layers_are_timed_against_lax_and_pytorch(tiny, against):
    if against:
        pytest.importorskip("torch", reason="extra `peers`")
    options = {"against": against, "rounds": 1, "turn": 0.0, "tell": lambda line: None}
    config = tiny("dcgan", "digits")
    found = layers.benchmark(config, **options)
    assert len(found["layers"]) == len(layers.calls(config))
    expected = {"jax", "lax"} | ({"torch", "torch channels_last"} if against else set())
    for row in found["layers"]:
        assert set(row["ms"]) == expected
        assert all(ms > 0 for ms in row["ms"].values())
    text = layers.table(found)
    assert text.count("\n") == len(found["layers"]) + 1
    assert "all of them" in text
