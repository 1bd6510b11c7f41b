"""Scores that fail, of which the others and the run must not suffer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from experiments import own_code
from experiments.rundir.checkpoint import FULL

LONGEST = 300  # characters of a reason


def attempt(compute: Callable[[], Any]) -> Any:
    """Returns `compute()`, or the exception that it raised.

    A full disk is no failure of a score: that OSError is raised.
    """
    try:
        return compute()
    except Exception as error:  # a user's extractor or evaluator may raise anything
        if isinstance(error, OSError) and error.errno in FULL.values():
            raise
        logging.getLogger(__name__).debug("a score failed", exc_info=True)
        return error


def reason(error: Exception, config: Mapping[str, Any] | None = None) -> str:
    """Returns why, in one line; with the exception's type where that says more.

    config: names the user's own code, of which the line is said.
    """
    if own := own_code.explain(error, config or {}):
        return str(own)
    text = " ".join(str(error).split())
    if not isinstance(error, ValueError | OSError | RuntimeError) or not text:
        text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
