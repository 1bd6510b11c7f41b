"""Figures of generated samples whose classes are known, or guessed by a classifier."""

import numpy as np

from gans.metrics.scores import frechet
from gans.metrics.scores.moments import checked


def coverage(
    real_labels: np.ndarray, fake_labels: np.ndarray, n_classes: int
) -> dict[str, float]:
    """Classes that are generated at all, and how unlike the real ones their shares are.

    Args: real_labels [N] and fake_labels [M], integers in [0, n_classes).

    Returns:
      "classes": of those among the real samples, how many have a generated sample, as
        the modes of stacked MNIST are counted (VEEGAN, arXiv 1705.07761, section 4.1;
        PacGAN, arXiv 1712.04086, section 4.1). A classifier's few errors are enough
        for a class to count.
      "classes_tenth": how many have at least a tenth of their real share.
      "kl": KL(generated || real) of the shares, in nats, as both papers report it. It
        is finite where classes are not generated, and infinite, as defined, where one
        is generated that the real samples lack.

    Raises ValueError for no labels, and for labels out of range.
    """
    real = _counts(real_labels, n_classes, "real_labels")
    fake = _counts(fake_labels, n_classes, "fake_labels")
    n, m = real.sum(), fake.sum()
    present, generated = real > 0, fake > 0
    with np.errstate(divide="ignore"):
        logs = np.log(fake[generated] / m) - np.log(real[generated] / n)
    return {
        "classes": float((present & generated).sum()),
        "classes_tenth": float((present & (10 * n * fake >= m * real)).sum()),
        "kl": float((fake[generated] / m * logs).sum()),
    }


def read(
    logits: np.ndarray, labels: np.ndarray | None, confidence: float
) -> dict[str, float]:
    """How many samples a classifier reads with confidence.

    Args: logits [N, K]; labels [N], the classes that were asked for, or None;
      confidence, the least probability, in (0, 1], that counts.

    Returns:
      "confident": the share of samples of which one class has that probability.
      "as_asked": the share of which it is the class of `labels`, if there are any.
    """
    logits = np.asarray(logits, np.float64)
    log_total = np.logaddexp.reduce(logits, axis=1, keepdims=True)
    probable = np.exp(logits - log_total) >= confidence
    found = {"confident": float(probable.any(axis=1).mean())}
    if labels is not None:
        labels = _checked_labels(labels, "labels")
        found["as_asked"] = float(probable[np.arange(len(labels)), labels].mean())
    return found


def _counts(labels, n_classes, name):
    labels = _checked_labels(labels, name)
    low, high = labels.min(), labels.max()
    if low < 0 or high >= n_classes:
        raise ValueError(f"{name} are in [{low}, {high}], not in [0, {n_classes})")
    return np.bincount(labels, minlength=n_classes)


def _checked_labels(labels, name):
    labels = np.asarray(labels)
    if labels.ndim != 1 or not labels.size or labels.dtype.kind not in "iu":
        kind = f"{labels.dtype} {list(labels.shape)}"
        raise ValueError(f"{name} must be integers [N], N > 0, not {kind}")
    return labels


def intra_frechet(
    real: np.ndarray,
    real_labels: np.ndarray,
    fake: np.ndarray,
    fake_labels: np.ndarray,
) -> float:
    """Mean over the classes of the Frechet distance within each.

    Intra FID (Miyato & Koyama, arXiv 1802.05637, section 4.1), of any features.

    Args: real [N, D] of classes real_labels [N]; fake [M, D] of the classes
      fake_labels [M] that were asked for.

    Raises ValueError for a class with fewer than two samples of either kind, for
    features and labels of different numbers, and as
    `frechet.distance_of_features` does.
    """
    sets = {"real": (real, real_labels), "generated": (fake, fake_labels)}
    for name, (features, labels) in sets.items():
        labels = _checked_labels(labels, f"{name} labels")
        features = checked(features, f"{name} features")
        if len(features) != len(labels):
            n, m = len(features), len(labels)
            raise ValueError(f"{n} {name} features, but {m} labels")
        sets[name] = features, labels
    distances = []
    for label in np.unique(np.concatenate([labels for _, labels in sets.values()])):
        pair = []
        for name, (features, labels) in sets.items():
            pair.append(features[labels == label])
            if len(pair[-1]) < 2:
                n = len(pair[-1])
                raise ValueError(f"class {label}: {n} {name} samples, fewer than 2")
        distances.append(frechet.distance_of_features(*pair))
    return float(np.mean(distances))
