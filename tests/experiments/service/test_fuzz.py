"""Requests at random: none may make it fail. `--fuzz-seconds=300` looks longer."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .test_hostile import UPLOAD, URL, png, saved

pytestmark = pytest.mark.slow
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.integers(0, 13)
    | st.floats()
    | st.text(max_size=9)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)
NAMES = "n seed class truncation latents given text format"
BODIES = st.dictionaries(
    st.sampled_from(NAMES.split()) | st.text(max_size=6), VALUES, max_size=4
)
KNOWN = {200, 400, 403, 404, 413, 415, 422}


@pytest.fixture(scope="session")
def searched(request):
    """Runs a test of Hypothesis for some seconds, or its default number of examples."""
    seconds = request.config.getoption("--fuzz-seconds")

    def run(strategy, check):
        options = {"deadline": None, "suppress_health_check": [*HealthCheck]}
        end = time.monotonic() + (seconds or 0) / 3
        while True:
            found = settings(max_examples=150, database=None, **options)
            found(given(strategy)(check))()
            if time.monotonic() >= end:
                return

    return run


def test_values(service, searched):
    def check(value):
        body = json.dumps(value).encode()
        answer = service.ask("POST", URL, body)
        assert answer.status in KNOWN, (body, answer.body)
        assert answer.status == 200 or "\n" not in answer.error

    searched(BODIES | VALUES, check)


def test_bytes(service, searched):
    def check(found):
        content, kind = found
        url = UPLOAD if kind.startswith("image") else URL
        answer = service.ask("POST", url, content, kind=kind)
        assert answer.status in KNOWN, (content, answer.body)

    pictures = [saved("PNG"), saved("JPEG"), saved("WEBP"), png(), b'{"n": 2}']
    changed = st.builds(
        lambda x, i, part: x[: i % len(x)] + part + x[i % len(x) + len(part) :],
        st.sampled_from(pictures),
        st.integers(0, 999),
        st.binary(max_size=4),
    )
    kinds = st.sampled_from(["image/png", "application/json", "image/webp"])
    searched(st.tuples(changed | st.binary(max_size=200), kinds), check)


def test_paths_and_queries(service, searched):
    texts = st.text(max_size=12) | st.sampled_from(["..", "digits", "sample", "%2f"])

    def check(found):
        parts, query, method = found
        path = "/" + "/".join(parts)
        answer = service.ask(method, path, b"{}", query=query)
        assert answer.status in KNOWN | {405}, (path, answer.body)

    parts = st.lists(texts | st.just("v1") | st.just("models"), max_size=5)
    methods = st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"])
    searched(st.tuples(parts, st.binary(max_size=20), methods), check)
