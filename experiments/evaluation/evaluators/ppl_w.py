"""Perceptual path length in W, which needs a mapping network."""


def make(gan, spec, source, *, setting, output: str = "sample"):
    """Raises ValueError: no variant has a mapping network yet."""
    raise ValueError(
        f"{setting.place}: ppl_w needs a mapping network, which no variant has yet; "
        "ppl_z is the length of paths in z"
    )
