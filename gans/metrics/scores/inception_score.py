"""Inception score: exp E KL(p(y|x) || p(y)), of any classifier (arXiv 1606.03498)."""

import numpy as np

from gans.metrics.scores.moments import checked


def score(logits: np.ndarray, n_splits: int = 10, seed: int = 0) -> dict[str, float]:
    """Mean and spread of the score over splits of the samples (section 4).

    The samples are shuffled first, lest a split hold only some of the classes that a
    conditional generator was asked for in order; by numpy's RandomState, whose stream
    is frozen, as in torch-fidelity. Split i starts at i * N // n_splits.

    Args: logits [N, K], of K classes, before the softmax; 1 <= n_splits <= N.

    Returns: {"mean": in [1, K], "std": over the splits, ddof=0}.

    Raises ValueError for other n_splits, NaN and infinity.
    """
    logits = checked(logits, "logits")
    n = len(logits)
    if not 1 <= n_splits <= n:
        raise ValueError(f"{n_splits} splits of {n} samples: accepted are 1 to {n}")
    order = np.random.RandomState(seed).permutation(n)
    edges = [i * n // n_splits for i in range(n_splits + 1)]
    splits = [
        logits[order[start:end]]
        for start, end in zip(edges[:-1], edges[1:], strict=True)
    ]
    scores = [_score(split.astype(np.float64)) for split in splits]
    return {"mean": float(np.mean(scores)), "std": float(np.std(scores))}


def _score(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    p = np.exp(log_p)
    marginal = p.mean(axis=0)
    # A class that no sample has any chance of: its terms are 0 log 0 = 0.
    log_marginal = np.log(marginal, where=marginal > 0, out=np.zeros_like(marginal))
    return np.exp((p * (log_p - log_marginal)).sum(axis=1).mean())
