"""Do conditional samples show the class that was asked for?"""

import numpy as np

N_REAL = 10_000  # of the real images; a support vector machine needs no more


def measure(samples: dict[str, np.ndarray], source) -> dict[str, float]:
    """A classifier of the real images looks at generated ones.

    A support vector machine on the pixels learns four fifths of the source's labelled
    images and is tested on the rest.

    Args:
      samples: "image" [N, H, W, C] in [-1, 1] and "label" [N], the classes asked for.
      source: a labelled image source.

    Returns: {"agreement": share of samples classified as asked, "accuracy": of the
      classifier on the real images held out}, both in [0, 1].

    Raises ValueError if there are no labels.
    """
    from sklearn.svm import SVC

    if "label" not in samples or source.n_classes is None:
        raise ValueError("metric 'agreement' needs a conditional GAN and labelled data")
    indices = np.random.default_rng(0).permutation(len(source))[:N_REAL]
    real = source.take(indices)
    x = real["image"].reshape(len(indices), -1) / 127.5 - 1.0
    n = len(indices) * 4 // 5
    classifier = SVC().fit(x[:n], real["label"][:n])
    guesses = classifier.predict(samples["image"].reshape(len(samples["image"]), -1))
    return {
        "agreement": float(np.mean(guesses == samples["label"])),
        "accuracy": float(classifier.score(x[n:], real["label"][n:])),
    }
