"""Every kind of data: decoding, encoding and mirroring."""

import pkgutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gans.data import kinds
from gans.data.kinds import image
from gans.data.spec import Field

SIZES = {"C": 3, "T": 5, "D": 4, "H": 6, "W": 7, "K": 2}
NAMES = [m.name for m in pkgutil.iter_modules(kinds.__path__)]
PIXELS = ("image", "video", "voxels")
CLASSES = ("captions", "label", "tokens")


def on_the_host(x):
    """uint8 -> [-1, 1] as numpy computes it, without fused operations."""
    scaled = x.astype(np.float32)
    scaled /= np.float32(127.5)
    scaled -= 1
    return scaled


def examples(name, n=8):
    """[n, ...] in the storage's type."""
    module = kinds.named(name)
    shape = (n, *(SIZES[axis] for axis in module.AXES))
    random = np.random.default_rng(0)
    if name in PIXELS:
        return random.integers(0, 256, shape, np.uint8)
    if name in CLASSES:
        return random.integers(0, 9, shape, np.int32)
    return random.standard_normal(shape, np.float32)


def test_all_are_found():
    assert NAMES == [
        *("captions", "embeddings", "image", "label", "point", "series", "tokens"),
        *("video", "voxels"),
    ]
    assert kinds.of(Field("image", (2, 2, 1), "uint8")) is image


@pytest.mark.parametrize("name", NAMES)
def test_decode_and_encode_undo_each_other(name):
    kind, stored = kinds.named(name), examples(name)
    assert any(np.issubdtype(stored.dtype, dtype) for dtype in kind.DTYPES)
    assert kind.CLASSES == (name in CLASSES)
    decoded = jax.jit(kind.decode)(stored)
    assert decoded.shape == stored.shape
    assert decoded.dtype == (jnp.int32 if stored.dtype == np.int32 else jnp.float32)
    encoded = kind.encode(np.asarray(decoded))
    assert isinstance(encoded, np.ndarray) and encoded.dtype == stored.dtype
    np.testing.assert_array_equal(encoded, stored)
    if kind.RANGE:
        low, high = kind.RANGE
        assert low <= decoded.min() < decoded.max() <= high


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decoded", [False, True])
def test_flip_mirrors_the_width_of_whole_examples_or_nothing(name, decoded):
    kind, x = kinds.named(name), examples(name)
    x = np.asarray(kind.decode(jnp.asarray(x))) if decoded else x
    coins = np.arange(len(x)) % 3 == 0
    flipped = np.asarray(jax.jit(kind.flip)(x, coins))
    assert flipped.dtype == x.dtype
    np.testing.assert_array_equal(flipped[~coins], x[~coins])
    assert kind.MIRRORED == (name in ("image", "video"))
    if kind.MIRRORED:
        axis = 1 + kind.AXES.index("W")
        np.testing.assert_array_equal(flipped[coins], np.flip(x[coins], axis))
        # Negative control: mirrored they are others, for every frame of a clip.
        assert (flipped[coins] != x[coins]).any((-1, -2, -3)).all()
    else:
        np.testing.assert_array_equal(flipped, x)


VALUES = np.arange(256, dtype=np.uint8)


@pytest.mark.parametrize("name", PIXELS)
@pytest.mark.parametrize("how", ["eager", "jit", "scan", "vmap", "fused"])
def test_decoding_has_the_bits_of_the_host(name, how):
    decode = kinds.named(name).decode
    x = jnp.asarray(VALUES.reshape(4, 64))
    decoded = {
        "eager": decode,
        "jit": jax.jit(decode),
        "scan": jax.jit(lambda x: jax.lax.scan(lambda c, y: (c, decode(y)), 0, x)[1]),
        "vmap": jax.jit(jax.vmap(decode)),
        # The reader of a value may be computed in the same loop as the value.
        "fused": jax.jit(lambda x: decode(x) * 1.5),
    }[how](x)
    expected = on_the_host(VALUES) * np.float32(1.5 if how == "fused" else 1)
    np.testing.assert_array_equal(np.asarray(decoded).ravel(), expected)
    assert expected[0] < 0 < expected[255]


def test_the_plain_formula_has_other_bits():
    # Negative control of the test above: XLA divides by multiplying.
    plain = jax.jit(lambda x: x.astype(jnp.float32) / 127.5 - 1)(VALUES)
    assert (np.asarray(plain) != on_the_host(VALUES)).sum() > 100


def test_decoding_does_not_hang_on_fused_operations():
    # The same sum without them, in numpy; and its first product is exact.
    x, (coarse, fine) = VALUES.astype(np.float32), (image._COARSE, image._FINE)
    first = x * np.float32(coarse)
    np.testing.assert_array_equal(
        (first + x * np.float32(fine)) - 1, on_the_host(VALUES)
    )
    np.testing.assert_array_equal(first.astype(np.float64), VALUES * coarse)


def test_floats_of_images_are_not_scaled():
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    np.testing.assert_array_equal(image.decode(jnp.asarray(x)), x)


def test_encoding_images_rounds_and_clips():
    # 127.9 -> 128, 0.4 -> 0.
    between = np.array([-1.5, 1.01, 0.4 / 127.5, -1 + 0.4 / 127.5], np.float32)
    assert image.encode(between).tolist() == [0, 255, 128, 0]


SAID = Field("captions", (2, 4), "int32", 5, ("", "a", "cat", "dog", "small"))


def test_a_text_becomes_a_caption_and_a_text_again():
    kind = kinds.of(SAID)
    found = kind.of_text(SAID, "A small, CAT!")
    np.testing.assert_array_equal(found, [[1, 4, 2, 0], [0, 0, 0, 0]])
    assert kind.text_of(SAID, found) == "a small cat"
    assert kind.words("it's 2 o\u2019clock, well-known") == [
        *("it's", "2", "o\u2019clock", "well", "known")
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a smal cat",
            "'smal' is not one of the 4 words of the training; did you mean",
        ),
        ("a xylophone", "'xylophone' is not one of the 4 words of the training$"),
        ("...", "has no words"),
        ("a cat a cat a", "has 5 words; sentences of the training have 4 at most"),
    ],
)
def test_texts_that_are_refused(text, said):
    with pytest.raises(ValueError, match=said):
        kinds.of(SAID).of_text(SAID, text)
