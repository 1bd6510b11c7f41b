"""What the curves of a run show, and what a healthy one looks like."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Panel:
    """What a curve shows.

    Attributes:
      title: of the figure.
      label: of the vertical axis.
      text: what it is, and what a healthy one looks like.
      quantities: of the metrics UPDATE/QUANTITY that it shows.
      limits: of the vertical axis; None: those of the values.
      level: (value, name) of a dashed line.
      least: a value that the vertical axis shows in any case.
      whole: whether the values are counts.
      breaks: (step, what is other from there on), vertical lines.
    """

    title: str
    label: str
    text: str
    quantities: tuple[str, ...] = ()
    limits: tuple[float, float] | None = None
    level: tuple[float, str] | None = None
    least: float | None = None
    whole: bool = False
    breaks: tuple[tuple[int, str], ...] = ()


LOSSES = Panel(
    "Losses",
    "loss",
    "What each network minimises. The two work against each other, so neither has to "
    "fall: levels that stay are healthy; one that runs away is not.",
    ("loss",),
)
ACCURACY = Panel(
    "Accuracy of the discriminator",
    "share recognised",
    "How many real and generated examples the discriminator tells apart. Healthy: "
    "between 0.5 (it guesses) and about 0.9; near 1 the generator learns little.",
    ("accuracy_real", "accuracy_fake"),
    (-0.03, 1.03),
    (0.5, "guessing"),
)
# Of losses without a boundary, see `experiments.pages.evidence`.
SEPARATION = dataclasses.replace(
    ACCURACY,
    text="How many real and generated examples lie on their side of the midpoint "
    "between both mean scores. This loss has no boundary, so high values say little: "
    "a critic may be as good as it can.",
)
SCORES = Panel(
    "Scores of the discriminator",
    "mean score",
    "The discriminator's mean output for real and for generated examples. Healthy: two "
    "curves that stay near each other; a gap that keeps growing means that it wins.",
    ("score_real", "score_fake", "score_gap"),
)
DIVERSITY = Panel(
    "Diversity of the samples",
    "relative to the data",
    "How far apart generated examples lie, as a share of how far apart real ones do. "
    "Healthy: near 1. Near 0 all samples are the same: the generator has collapsed.",
    ("diversity",),
    None,
    (1.0, "the data"),
    0.0,
)
MAIN = (LOSSES, ACCURACY, SCORES, DIVERSITY)
DIAGNOSTICS = (
    Panel(
        "Gradients",
        "norm",
        "The size of each update's gradient. Healthy: of one order of magnitude; one "
        "that falls to nothing has stopped learning, one that explodes will diverge.",
        ("grad_norm",),
    ),
    Panel(
        "Saturation",
        "share of values",
        "The share of the samples' values at the ends of their range. Near 1 the "
        "generator no longer learns, unless the data are black and white.",
        ("saturated",),
        (-0.03, 1.03),
    ),
    Panel(
        "Overfitting of the discriminator",
        "mean sign",
        "The mean sign of the scores of real examples: near 1, the discriminator "
        "knows its training set by heart (what ADA controls, to about 0.6).",
        ("sign",),
        (-1.05, 1.05),
    ),
    Panel(
        "Gradient penalty",
        "penalty",
        "How far the discriminator is from the slope that the penalty asks for.",
        ("gradient_penalty",),
    ),
    Panel("Speed", "steps per second", "Training steps per second.", ("steps_per_s",)),
)
SIGMA = (
    "The largest singular value of each layer: how much it can amplify. Healthy: they "
    "level off; ones that keep growing announce that training will diverge."
)
