"""The picture of a sweep."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.sweeps import figures

CHOICES = [
    "non_saturating",
    "least_squares(a=0.0, b=1.0, c=1.0)",
    "relativistic_average_hinge",
    "wasserstein",
    "feature_matching",
]


@pytest.mark.parametrize("choices", [CHOICES, CHOICES[:2], ["a", "b"]])
def test_choices_do_not_overlap(choices, tmp_path, monkeypatch):
    kept, save = [], Figure.savefig

    def saved(figure, *args, **options):
        kept.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", saved)
    trials = [
        {
            "number": i,
            "status": "finished",
            "params": {"loss": choice, "a.key.of_a_very_long_name" * 3: i + 1.0},
            "final": 5.0 - i,
            "curve": [[10, 9.0], [20, 5.0 - i]],
        }
        for i, choice in enumerate(choices)
    ]
    space = {"loss": "choice(...)", "a.key.of_a_very_long_name" * 3: "log(0.1, 9)"}
    sweep = {"objective": "eval/fid", "better": "lower", "trials": trials}
    sweep |= {"importances": None, "protocol": {"space": space}}
    figures.draw(tmp_path / "sweep.png", sweep)
    figure = kept[0]
    panel = next(x for x in figure.axes if x.get_title() == "loss")
    labels = panel.get_xticklabels()
    assert len(labels) == len(choices)
    # Turned labels are parallel: the distance between two, across them.
    angle = np.deg2rad(labels[0].get_rotation())
    places = panel.transData.transform([(i, 0) for i in range(len(choices))])[:, 0]
    for label in labels:
        width = label.get_window_extent().width
        height = label.get_fontsize() * figure.dpi / 72
        apart = np.diff(places).min()
        assert width < apart if not angle else height < apart * np.sin(angle)
    titles = [x.title.get_window_extent() for x in figure.axes if x.get_title()]
    for one, other in zip(titles, titles[1:], strict=False):
        assert one.x1 < other.x0 or one.y0 > other.y1


@pytest.mark.parametrize("values", [[0.14, 6.7], [1e-5, 1e-2], [3.0, 3.0]])
def test_labels_of_a_narrow_logarithmic_axis_do_not_overlap(values):
    figure = Figure(figsize=(4, 3))
    panel = figure.subplots()
    panel.scatter(values, [1, 2])
    panel.set_xscale("log")
    figures._label_log(panel.xaxis, values)
    figure.canvas.draw()
    shown = [x for x in panel.get_xticklabels(which="both") if x.get_text()]
    low, high = panel.get_xlim()
    boxes = [x.get_window_extent() for x in shown if low <= x.get_position()[0] <= high]
    boxes.sort(key=lambda box: box.x0)
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
