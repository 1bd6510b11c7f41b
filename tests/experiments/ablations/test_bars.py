"""Bars for an ablation that was evaluated once."""

import numpy as np
from PIL import Image

from experiments.ablations import bars


def seed(number, value=None, status="finished"):
    values = {} if value is None else {"eval/modes": value}
    curve = [{"step": 4, "images": 32, "values": values}] if value is not None else []
    return {"seed": number, "status": status, "curve": curve}


def results(arms, evaluations=1):
    return {
        "baseline": "base",
        "evaluations": evaluations,
        "metrics": {"eval/modes": "higher", "eval/kl": "lower"},
        "arms": {name: {"seeds": seeds} for name, seeds in arms.items()},
    }


def coloured(path):
    """How many pixels are coloured."""
    with Image.open(path) as file:
        pixels = np.asarray(file.convert("RGB")).astype(int)
    return (np.ptp(pixels, axis=-1) > 60).sum()


def test_bars(tmp_path):
    arms = {"base": [seed(0, 2.0), seed(1, 4.0)], "wild": [seed(0, status="diverged")]}
    arms["good"] = [seed(0, 8.0), seed(1, 7.0)]
    found = results(arms)
    plain, marked = tmp_path / "plain.png", tmp_path / "marked.png"
    assert bars.draw(plain, found, {})
    assert bars.draw(marked, found, {"eval/modes": {"good": "better"}})
    assert coloured(plain) == 0 < coloured(marked)
    again = tmp_path / "again.png"
    bars.draw(again, found, {})
    assert again.read_bytes() == plain.read_bytes()


def test_nothing_to_draw(tmp_path):
    path = tmp_path / "none.png"
    assert not bars.draw(path, results({"base": [seed(0, status="failed")]}), {})
    assert not path.exists()


def test_one_evaluation_is_no_curve():
    assert bars.wanted(results({})) and not bars.wanted(results({}, evaluations=2))
