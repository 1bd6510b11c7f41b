import re
from xml.etree import ElementTree

import numpy as np
import pytest

from experiments.pages import curves, panels

PANEL = curves.Panel("Title", "value", "What it is.")


def drawn(points, panel=PANEL):
    svg = curves.draw(panel, points if isinstance(points, dict) else {"x": points})
    svg = svg.replace("xlink:href", "href")  # of HTML, which needs no names
    return ElementTree.fromstring(svg)


def lines(svg):
    """{colour: points [N, 2] of its thickest line} in the units of the drawing."""
    found = {}
    for path in svg.iter("path"):
        style = path.get("style") or ""
        colour = re.search(r"stroke: var\(--c(\d)\)", style)
        if colour and "1.6" in style:
            numbers = re.findall(r"[-\d.]+ [-\d.]+", path.get("d"))
            found[int(colour[1])] = np.array([x.split() for x in numbers], float)
    return found


def texts(svg):
    return [text.text for text in svg.iter("text")]


def test_a_curve_runs_where_its_numbers_are():
    line = lines(drawn([(0, 0.0), (50, 0.25), (100, 1.0)]))[0]
    x, y = line.T
    assert (x[1] - x[0]) == pytest.approx(x[2] - x[1], abs=0.2)
    # Upwards, a quarter and then three quarters of the whole.
    assert (y[0] - y[1]) * 3 == pytest.approx(y[1] - y[2], abs=0.5)
    # The last point is at 100 / 102 of the plot, which is all but margins wide.
    width = curves._WIDTH - curves._LEFT - 4
    assert x[2] - x[0] == pytest.approx(width / 1.02, abs=0.5)


def test_axes_are_named_and_numbers_are_whole():
    found = texts(drawn([(0, 0.0), (1000, 0.75), (2000, 1.0)]))
    assert "training step" in found and "value" in found
    assert {"0", "0.25", "0.5", "0.75", "1", "1k", "2k"} <= {*found} | {"0.25", "0.75"}
    assert "0.2" in found or "0.25" in found


def test_lines_are_named_where_there_are_several():
    points = [(1, 0.123), (2, 0.981)]
    found = texts(drawn({"real": points, "_generated $x$": points}))
    assert "real 0.981" in found
    assert any("generated $x$ 0.981" in text for text in found)
    assert "x 0.981" not in texts(drawn(points))


def test_colours_are_those_of_the_page():
    source = curves.draw(PANEL, {"a": [(0, 1.0), (1, 2.0)], "b": [(0, 2.0), (1, 1.0)]})
    assert "var(--c0)" in source and "var(--c1)" in source
    assert not re.search(r"#[0-9a-f]{6}", source)
    assert "http" not in source and "metadata" not in source


def test_values_that_span_decades_have_a_logarithmic_axis():
    points = [(0, 1e-4), (1, 1e-2), (2, 1.0)]
    y = lines(drawn(points))[0][:, 1]
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.3)
    # Negative control: not so if one of them is not positive.
    y = lines(drawn([(0, -1e-4), (1, 1e-2), (2, 1.0)]))[0][:, 1]
    assert y[0] - y[1] < 0.1 * (y[1] - y[2])


def test_a_wild_start_does_not_flatten_the_rest():
    points = [(i, -1e9 if i == 1 else i % 10) for i in range(1, 301)]
    low, high, log = curves._limits(PANEL, [y for _, y in points])
    assert -2 < low < 0 and 9 < high < 11 and not log


@pytest.mark.parametrize("value", [0.0, 5.0, -1e-12, 1e30])
@pytest.mark.parametrize("n", [1, 5, 100])
def test_a_constant_is_a_level_line(value, n):
    (line,) = lines(drawn([(i, value) for i in range(n)])).values()
    assert np.ptp(line[:, 1]) == 0


def test_many_points_are_smoothed_and_few():
    points = [(i, (-1.0) ** i) for i in range(1, 20_001)]
    (line,) = lines(drawn(points)).values()
    assert np.ptp(line[2:-2, 1]) < 2 and len(line) <= 500
    assert len(curves.draw(PANEL, {"x": points})) < 40_000


def test_a_level_is_named():
    found = texts(drawn([(0, 0.5), (1, 0.9)], panels.DIVERSITY))
    assert "the data" in found


def test_a_quantity_of_two_players_shares_a_panel():
    names = ["d/loss", "g/loss", "d/accuracy_real", "d/accuracy_fake", "d/mine"]
    measured = {name: [(0, 1.0), (1, 2.0)] for name in ["eval/fid", *names]}
    titles = [re.search(r'aria-label="(.*?) over', x)[1] for x in curves.main(measured)]
    assert titles == [
        "fid: fid",
        "Losses: discriminator, generator",
        "Accuracy of the discriminator: real, generated",
    ]
    (other,) = curves.diagnostics(measured)
    assert "mine" in other


def test_two_discriminators_are_told_apart():
    measured = {f"{d}/score_real": [(0, 1.0)] for d in ("d_a", "d_b")}
    (figure,) = curves.main(measured)
    assert "d_a: real, d_b: real" in figure


def test_what_an_accuracy_means_depends_on_the_loss():
    measured = {"d/accuracy_real": [(0, 1.0)]}
    (figure,), (critic,) = curves.main(measured), curves.main(measured, boundary=False)
    assert "near 1 the generator learns little" in figure
    assert "high values say little" in critic


def test_a_score_has_its_meaning_and_the_test_images():
    measured = {"eval/fid": [(0, 9.0), (1, 5.0)], "eval/once": [(0, 1.0)]}
    measured["eval/twice"] = [(9, 1.0), (9, 1.0)]  # of one step
    (figure,) = curves.main(measured, meanings={"fid": "<How>"}, baseline={"fid": 4.0})
    assert "&lt;How&gt;" in figure and "real images" in figure


def test_where_values_cannot_be_compared_there_is_a_line():
    measured = {"eval/fid": [(0, 9.0), (1000, 5.0), (2000, 4.0)]}
    breaks = {"fid": [(1000, "290 real images, before 300")]}
    (figure,) = curves.main(measured, breaks=breaks)
    assert "290 real images, before 300" in figure
    (plain,) = curves.main(measured)
    assert figure.count("stroke-dasharray") == plain.count("stroke-dasharray") + 1


def test_where_the_data_have_changed_every_curve_has_a_line():
    measured = {
        "eval/fid": [(0, 9.0), (1000, 5.0)],
        "d/loss": [(0, 1.0), (1000, 2.0)],
        "d/grad_norm": [(0, 1.0), (400, 2.0)],
    }
    changes = [(300, "9 examples, before 8"), (320, "other data"), (700, "late")]

    def count(drawn, text):
        return [figure.count(text) for figure in drawn]

    both = [curves.main, curves.diagnostics]
    drawn = [x for make in both for x in make(measured, changes=changes)]
    plain = [x for make in both for x in make(measured)]
    assert count(drawn, "9 examples, before 8") == [1, 1, 1]
    assert count(drawn, "late") == [1, 1, 0]  # the last curve ends before
    lines, without = (count(x, "stroke-dasharray") for x in (drawn, plain))
    assert [n - m for n, m in zip(lines, without, strict=True)] == [3, 3, 2]
    # Captions of neighbours are not on top of each other.
    svg = re.search("<svg.*</svg>", drawn[1], re.S)[0].replace("xlink:href", "href")
    svg = ElementTree.fromstring(svg)
    heights = {x.text: float(x.get("y")) for x in svg.iter("text") if x.get("y")}
    first, second = (heights[said] for _, said in changes[:2])
    assert second - first == pytest.approx(11, abs=0.2)


def test_the_axis_of_a_count_ends_at_its_number():
    measured = {"eval/modes/modes": [(0, 3.0), (1, 7.0)]}
    (figure,) = curves.main(measured, of={"modes/modes": 8})
    named = re.findall(r"<text[^>]*>([^<]*)</text>", figure)
    numbers = [x for x in named if re.fullmatch(r"[\d.]+", x)]
    assert "of 8" in named and {"0", "8"} <= {*numbers}
    assert all(float(x).is_integer() and float(x) <= 8 for x in numbers)
    # A share is no count.
    (figure,) = curves.main({"eval/kl": [(0, 0.3), (1, 0.7)]}, of={"kl": 10})
    assert "of 10" not in figure
