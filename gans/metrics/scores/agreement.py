"""Do conditional samples show the class that was asked for?"""

import numpy as np


def measure(
    samples: np.ndarray,
    labels: np.ndarray,
    real: np.ndarray,
    real_labels: np.ndarray,
) -> dict[str, float]:
    """A classifier that was trained on real images sees generated ones.

    A support vector machine on the pixels learns four fifths of the real images and is
    tested on the rest.

    Args:
      samples: [N, ...], with the classes that were asked for, labels [N].
      real: [M, ...] on the same scale, with real_labels [M]; in random order.

    Returns: {"agreement": share of samples classified as asked, "accuracy": of the
      classifier on the real images held out}, both in [0, 1].
    """
    from sklearn.svm import SVC

    x = real.reshape(len(real), -1)
    n = len(real) * 4 // 5
    classifier = SVC().fit(x[:n], real_labels[:n])
    guesses = classifier.predict(samples.reshape(len(samples), -1))
    return {
        "agreement": float(np.mean(guesses == labels)),
        "accuracy": float(classifier.score(x[n:], real_labels[n:])),
    }
