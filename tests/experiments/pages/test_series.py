import re
from html.parser import HTMLParser

import numpy as np

from experiments.detection.detection import Detection, Rules
from experiments.pages import series
from gans.data.signals import Signal

T0 = 1_600_000_000


def detection(found, n=300, channels=1, name="load <1>"):
    x = np.random.default_rng(0).normal(size=(n, channels))
    signal = Signal(T0 + 60 * np.arange(n), x, name)
    return Detection(signal, x * 0.5, x[:, 0] ** 2, x[:, 0], x[:, 0], found)


class Balanced(HTMLParser):
    """Counts tags that are open; `left` is empty for a page in order."""

    VOID = {"meta", "br", "wbr", "link"}

    def __init__(self, text):
        super().__init__()
        self.left = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.left.append(tag)

    def handle_endtag(self, tag):
        assert self.left.pop() == tag


def test_a_page_shows_what_was_found_missed_and_false():
    found = [(20, 40, 1.5), (100, 120, 0.5)]
    true = {"load <1>": [(T0 + 60 * 30, T0 + 60 * 35), (T0 + 60 * 200, T0 + 60 * 210)]}
    page = series.page([detection(found)], true, Rules())
    assert Balanced(page).left == []
    cells = re.findall(r"<td>([^<]*)</td>", page)
    assert cells[3::4] == ["true", "false alarm", "missed"]
    assert "load &lt;1&gt;" in page and "load <1>" not in page
    assert "http" not in page  # nothing is fetched
    assert page.count("<figure") == 4 + len(found)
    assert "overlap" in page and "F1" in page


def test_a_page_without_labels_or_anomalies():
    page = series.page([detection([], channels=8), detection([])], {}, Rules())
    assert Balanced(page).left == []
    assert "No anomaly was found" in page and "2 more channels" in page
    assert "F1" not in page and "0 anomalies in 2 signals" in page
    still = series.page([detection([(1, 2, 0.1)])], {}, Rules())
    assert "false alarm" not in still and "<th" in still


def test_long_signals_are_thinned_and_keep_their_extremes():
    x = np.random.default_rng(0).normal(size=50_000)
    t, y = series._thinned(np.arange(50_000), x, 1000)
    assert len(y) <= 2000 and y.max() == x.max() and y.min() == x.min()
    assert (np.diff(t) > 0).all()


def test_ticks_are_round():
    np.testing.assert_allclose(series._round(-1.3, 2.2), [-1, 0, 1, 2])
    np.testing.assert_allclose(series._round(0.01, 0.02), [0.01, 0.015, 0.02], 1e-9)
