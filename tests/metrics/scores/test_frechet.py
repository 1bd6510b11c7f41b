"""The Frechet distance on Gaussians where it is known, and against scipy."""

import numpy as np
import pytest

from gans.metrics.scores import frechet
from gans.metrics.scores.moments import Moments


def features(n, d, seed, scale=1.0):
    """[n, d] float64, the spectrum falling by a factor of 400, off centre."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(d).standard_normal((d, d)) / np.sqrt(d)
    spread = np.exp(-3 * np.arange(d) / d)
    return (scale * rng.standard_normal((n, d)) * spread) @ mix + seed / d


def rotation(d):
    return np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0]


def cases():
    zero, ones, q = np.zeros(3), np.ones(3), rotation(3)
    s, t = np.array([1.0, 4.0, 9.0]), np.array([4.0, 0.25, 9.0])
    u, v = np.array([1.0, 2.0, 2.0]), np.array([0.0, -3.0, 4.0])
    # Equal covariances: the distance of the means alone.
    yield "equal", (zero, q * s @ q.T), (2 * ones, q * s @ q.T), 12
    # Diagonal: squares of the differences of the deviations, 1 + 2.25 + 0; and 3.
    yield "diagonal", (zero, np.diag(s)), (ones, np.diag(t)), 6.25
    yield "commuting", (zero, q * s @ q.T), (ones, q * t @ q.T), 6.25
    # u u^T and v v^T: |u|^2 + |v|^2 - 2 |u . v| = 9 + 25 - 2 * 2.
    yield "rank 1", (zero, np.outer(u, u)), (zero, np.outer(v, v)), 30
    # Deviations (2, 0, 1) and (1, 3, 0).
    yield "singular", (zero, np.diag([4.0, 0, 1])), (zero, np.diag([1.0, 9, 0])), 11
    yield "1-D", (np.ones(1), 4 * np.eye(1)), (-np.ones(1), 25 * np.eye(1)), 13
    yield "points", (zero, np.zeros((3, 3))), (u, np.zeros((3, 3))), 9


@pytest.mark.parametrize(
    ("a", "b", "expected"), [pytest.param(*c[1:], id=c[0]) for c in cases()]
)
def test_closed_forms(a, b, expected):
    assert frechet.distance(a, b) == pytest.approx(expected, rel=1e-10)
    assert frechet.distance(b, a) == pytest.approx(expected, rel=1e-10)
    assert abs(frechet.distance(a, a)) < 1e-12 * (1 + np.trace(a[1]))


@pytest.mark.parametrize("n", [2, 40, 64, 65, 400])
def test_features_and_their_moments_agree(n):
    x, y = features(n, 64, 1), features(90, 64, 2)
    a, b = Moments.of(x), Moments.of(y)
    pair = a.mean, np.cov(x, rowvar=False)
    expected = frechet.distance(pair, b)
    assert frechet.distance_of_features(x, y) == pytest.approx(expected, rel=1e-10)
    assert frechet.distance(a, b) == pytest.approx(expected, rel=1e-10)
    assert frechet.distance_of_features(y, x) == pytest.approx(expected, rel=1e-10)
    for self in (frechet.distance(a, a), frechet.distance_of_features(x, x)):
        assert abs(self) < 1e-12 * np.trace(a.cov())


def gaussians(n, d):
    return [Moments.of(features(n, d, seed, 1 + seed / 5)) for seed in (0, 1)]


def by_trace(a, b, root):
    apart = a.mean - b.mean
    return apart @ apart + np.trace(a.cov()) + np.trace(b.cov()) - 2 * root


def of_torch_fidelity(reference, *pair):
    pair = [{"mu": m.mean, "sigma": m.cov()} for m in pair]
    found = reference("torch_fidelity.metric_fid").fid_statistics_to_metric(
        *pair, False
    )
    return found["frechet_inception_distance"]


def test_against_scipy_and_torch_fidelity(reference):
    linalg = pytest.importorskip("scipy.linalg")
    a, b = gaussians(1280, 512)
    root = np.trace(linalg.sqrtm(a.cov() @ b.cov())).real
    found = frechet.distance(a, b)
    assert found == pytest.approx(by_trace(a, b, root), rel=1e-8)
    assert found == pytest.approx(of_torch_fidelity(reference, a, b), rel=1e-8)


@pytest.mark.slow
def test_against_both_at_full_size(reference):
    # The eigenvalues of S1 S2 by Cholesky, in a tenth of the time of its square root.
    linalg = pytest.importorskip("scipy.linalg")
    a, b = gaussians(4096, 2048)
    values = linalg.eigh(a.cov(), b.cov(), type=2, eigvals_only=True)
    expected = by_trace(a, b, np.sqrt(values).sum())
    found = frechet.distance(a, b)
    assert found == pytest.approx(expected, rel=1e-8)
    assert found == pytest.approx(of_torch_fidelity(reference, a, b), rel=1e-8)


def test_float32_would_not_do():
    # The root of the product of float32 covariances through their eigenvectors.
    x, y = features(640, 256, 0), features(640, 256, 1)
    a, b = Moments.of(x), Moments.of(y)

    def root(s):
        values, vectors = np.linalg.eigh(s)
        return vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T

    half = root(a.cov().astype(np.float32))
    single = np.trace(root(half @ b.cov().astype(np.float32) @ half))
    apart = a.mean - b.mean
    wrong = apart @ apart + np.trace(a.cov()) + np.trace(b.cov()) - 2 * single
    right = frechet.distance(a, b)
    assert abs(wrong / right - 1) > 1e-6
    assert frechet.distance_of_features(x, y) == pytest.approx(right, rel=1e-10)


def test_covariances_that_are_none():
    mean, good = np.zeros(2), np.eye(2)
    for cov, message in [
        (np.diag([1.0, -1e-3]), "second: .*not positive semidefinite.*-0.001"),
        (np.array([[1.0, 0.1], [0.0, 1.0]]), "not symmetric: 0.1 off"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "NaN or infinity"),
        (np.ones(2), r"\[2\] and \[2\], not \[D\] and \[D, D\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            frechet.distance((mean, good), (mean, cov))
    # What rounding leaves is zero, in the type that was rounded.
    assert frechet.distance((mean, good), (mean, np.diag([1.0, -1e-16]))) == 1
    single = np.diag([1.0, -1e-7]).astype(np.float32)
    assert frechet.distance((mean, good), (mean, single)) == 1
    with pytest.raises(ValueError, match="semidefinite"):
        frechet.distance((mean, good), (mean, single.astype(float)))


def test_features_that_are_none():
    x, bad = features(9, 4, 0), features(9, 4, 0)
    bad[[1, 5], 2] = np.nan
    for y, message in [
        (bad, "y: 2 of 9 rows"),
        (x[:, :3], "of 4 and of 3 dimensions"),
        (x[:1], "y has 1 rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            frechet.distance_of_features(x, y)
    with pytest.raises(ValueError, match="of 4 and of 5 dimensions"):
        frechet.standard_error(x, (np.zeros(5), np.eye(5)))
    with pytest.raises(ValueError, match="replicates=1"):
        frechet.standard_error(x, Moments.of(x), replicates=1)
    for smallest in (None, 1, 9):  # None: 9 // 10
        with pytest.raises(ValueError, match=r"the smallest in \[2, 9\)"):
            frechet.infinity(x, Moments.of(x), smallest)


def test_infinity_takes_the_bias_off():
    # With n samples of N(0, I) the mean is off by D / n in expectation, and to second
    # order the covariance adds |dS|^2 / 4, of expectation D (D + 1) / 4 n: a slope of
    # 8 + 18 = 26, and 0 at infinity.
    reference = np.zeros(8), np.eye(8)
    fakes = np.random.default_rng(0).standard_normal((12, 3000, 8))
    found = [frechet.infinity(fake, reference, seed=i) for i, fake in enumerate(fakes)]
    limits, slopes = (np.array([f[k] for f in found]) for k in ("infinity", "slope"))
    assert abs(slopes.mean() - 26) < 4 * slopes.std() / np.sqrt(12) < 8
    biased = np.mean([frechet.distance(Moments.of(fake), reference) for fake in fakes])
    assert biased > 26 / 3000 / 2
    assert abs(limits.mean()) < biased / 4


def test_infinity_is_the_line_through_the_distances():
    x, reference = features(60, 5, 1), Moments.of(features(80, 5, 2))
    found = frechet.infinity(x, reference, smallest=20, n_sizes=2, seed=3)
    # Through two points: at n = 60, the whole, and n = 20.
    whole = frechet.distance_of_features(x, features(80, 5, 2))
    assert found["infinity"] + found["slope"] / 60 == pytest.approx(whole, rel=1e-10)
    assert found == frechet.infinity(x, reference, smallest=20, n_sizes=2, seed=3)
    assert found != frechet.infinity(x, reference, smallest=20, n_sizes=2, seed=4)


def test_the_standard_error_is_that_of_plain_bootstrap():
    # The plain form: draw with the same counts, and measure anew.
    x, y = features(50, 6, 1).astype(np.float32), features(70, 6, 2)
    counts = np.random.default_rng(5).multinomial(50, np.full(50, 1 / 50), size=4)
    found = [frechet.distance_of_features(np.repeat(x, c, axis=0), y) for c in counts]
    error = frechet.standard_error(x, Moments.of(y), replicates=4, seed=5)
    assert error == pytest.approx(np.std(found, ddof=1), rel=1e-10)


def test_the_standard_error_is_the_spread_of_independent_sets():
    reference = np.full(4, 0.5), np.diag([1.0, 2.0, 0.5, 1.0])
    fakes = np.random.default_rng(0).standard_normal((60, 1000, 4))
    spread = np.std([frechet.distance(Moments.of(f), reference) for f in fakes], ddof=1)
    errors = [frechet.standard_error(f, reference, replicates=40) for f in fakes[:5]]
    assert np.mean(errors) == pytest.approx(spread, rel=0.25)
