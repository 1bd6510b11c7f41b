"""Where pictures come from: what their files say of it.

Every file of pictures says that a model has made it. What is known beyond that, such as
the run and the seed, is said by whoever has it written:

    with origin.noted(run="cgan-digits", step=2000, seed=3):
        pictures.save_png(path, image)
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

SOFTWARE = "jax-gans"  # as files name what has written them
# Digital source types of the IPTC, https://cv.iptc.org/newscodes/digitalsourcetype
MADE = "trainedAlgorithmicMedia"  # by a model, of nothing
EDITED = "compositeWithTrainedAlgorithmicMedia"  # of given pictures, or beside them
NONE = ""  # real examples: no type is claimed

_noted: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("origin")


@contextlib.contextmanager
def noted(**known: Any) -> Iterator[None]:
    """Pictures that the block writes say this as well; values are shown as text.

    `source`: a digital source type, MADE by default. Threads have to be given the
    context of the block (`contextvars.copy_context`).
    """
    token = _noted.set(current() | {k: str(x) for k, x in known.items()})
    try:
        yield
    finally:
        _noted.reset(token)


def current() -> dict[str, str]:
    """Returns what pictures that are written now will say."""
    return dict(_noted.get({"generator": SOFTWARE, "source": MADE}))


def of_run(config: Mapping[str, Any], name: str, step: int) -> dict[str, str]:
    """Returns what is said of a run: nothing that names files, or people.

    name: of its folder, without the folders above it.
    """
    text = config.to_json_best_effort(sort_keys=True)
    return {
        "run": name,
        "config": hashlib.sha256(text.encode()).hexdigest()[:12],
        "variant": config["variant"].rpartition("/")[2],
        "data": config["data"].partition(":")[0],  # the rest may be a path
        "step": str(step),
    }
