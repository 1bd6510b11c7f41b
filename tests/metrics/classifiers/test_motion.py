"""The classifier of motion: what is done to clips in time, and that it learns it."""

import jax
import numpy as np
import pytest

from gans.metrics.classifiers import motion
from gans.metrics.scores import frechet

T, SIDE = 8, 8


def bars(n, seed=0):
    """Bars that move by one pixel a frame, to the right (0) or to the left (1)."""
    rng = np.random.default_rng(seed)
    labels, starts = rng.integers(0, 2, n), rng.integers(0, SIDE, n)
    places = starts[:, None] + np.arange(T) * (1 - 2 * labels[:, None])
    far = (np.arange(SIDE) - places[..., None]) % SIDE
    rows = np.where(far < 3, 230, 20).astype(np.uint8)[:, :, None, :, None]
    return np.broadcast_to(rows, (n, T, SIDE, SIDE, 1)), labels.astype(np.int32)


def test_what_is_done_to_clips():
    # Frame t of clip i is i * 16 + t, so that each says where it comes from.
    n = 400
    number = np.arange(n)[:, None] * 16 + np.arange(T)
    clips = number.reshape(n, T, 1, 1, 1)
    labels = np.arange(n, dtype=np.int32) % 3
    found, known = motion.altered(clips, labels, 3, jax.random.key(0))
    found, known = np.asarray(found).reshape(n, T), np.asarray(known)
    source, time = np.divmod(found, 16)
    own = np.arange(n)[:, None]
    plain = known < 3
    assert abs(plain.mean() - 0.5) < 0.1 and {*known.tolist()} == {*range(7)}
    np.testing.assert_array_equal(found[plain], number[plain])
    np.testing.assert_array_equal(known[plain], labels[plain])
    still, shuffled, slow, cut = (known == 3 + i for i in range(4))
    assert (time[still] == 0).all()
    np.testing.assert_array_equal(
        np.sort(time[shuffled]), np.tile(np.arange(T), (shuffled.sum(), 1))
    )
    assert (time[shuffled] != np.arange(T)).any()
    assert (time[slow] == np.arange(T) // 2).all()
    assert (time[cut] == np.arange(T)).all()
    assert (source[~cut] == own[~cut]).all()
    assert (source[cut, : T // 2] == own[cut]).all()
    assert (source[cut, T // 2 :] == (own[cut] + 1) % n).all()


def test_what_it_does_not_learn():
    with pytest.raises(ValueError, match=r"motion: clips are uint8 \(4, 2, 8, 8, 1\)"):
        motion.LEARNER.train(np.zeros((4, 2, 8, 8, 1), np.uint8), None, 1, seed=0)


@pytest.mark.slow
def test_it_learns_motion_and_its_distance_sees_it():
    given, test = bars(256), bars(128, seed=1)
    trained = motion.LEARNER.train(*given, 2, seed=0, steps=150)
    assert motion.LEARNER.accuracy(trained, *test, 2) > 0.8
    untrained = motion.LEARNER.train(*given, 2, seed=0, steps=1)
    assert motion.LEARNER.accuracy(untrained, *test, 2) < 0.6
    apply = jax.jit(motion.LEARNER.make(trained, protocol={}).apply)

    def features(clips):
        found = apply(trained, np.ascontiguousarray(clips))["features"]
        return np.asarray(found, np.float64)

    real = features(given[0][:128])
    same = frechet.distance_of_features(real, features(test[0]))
    order = np.random.default_rng(0).permutation(T)
    for other in (test[0][:, :1].repeat(T, 1), test[0][:, order]):
        assert frechet.distance_of_features(real, features(other)) > 5 * same
