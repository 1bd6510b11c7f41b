"""The pictures of a run: samples, real examples, and nearest training images."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments import pages
from experiments.pages import gallery

_N_FRAMES = 40
_FRAME_BYTES = 125_000  # of an earlier picture; base64 adds a third
_LAST_BYTES = 2_000_000


def samples(folder: Path) -> tuple[str, str]:
    """Returns (the last pictures with their players, the frames as JavaScript).

    There is one player for each series of pictures samples/step_STEP[_NAME].png, beside
    real examples, samples/real[_NAME].png, if they have been drawn.
    """
    series = {}
    for path in sorted(folder.glob("samples/step_*.png")):
        named = re.fullmatch(r"step_(\d+)(?:_(.*))?", path.stem)
        if named:  # a user may keep other pictures there
            series.setdefault(named[2] or "", []).append((int(named[1]), path))
    if not series:
        return '<p class="missing">No samples have been drawn yet.</p>', "[]"
    parts, frames = [], []
    for name, pictures in series.items():
        player, shown = _player(name, pictures, len(series))
        stem = "_".join(["real", name] if name else ["real"])
        parts.append(player + _real(folder / "samples" / f"{stem}.png", len(series)))
        frames.append(shown)
    pairs = "\n".join(f'<div class="pair">{part}</div>' for part in parts)
    if (folder / gallery.FOLDER / gallery.PAGE).exists():
        pairs += (
            f'\n<p><a href="{gallery.FOLDER}/{gallery.PAGE}">All that was made, '
            "row by row</a></p>"
        )
    return pairs, json.dumps(frames)


def _real(path, n_series):
    if not path.exists():
        return ""
    url = pages.data_url(path, _LAST_BYTES // n_series)
    animation = _moving(path, "Animation of real examples")
    return f"""
<figure class="samples card">
<h3>Real examples</h3>
<img src="{url}" alt="Real examples of the data">{animation}
<figcaption>What the samples should look like: examples of the training data, at the \
same scale.</figcaption>
</figure>"""


def _moving(path, alt):
    """The animation beside a picture, if there is one."""
    moving = path.with_suffix(".webp")
    if not moving.exists() or moving.stat().st_size > _LAST_BYTES:
        return ""
    url = pages.data_url(moving, _LAST_BYTES)
    return f'\n<img class="moving" src="{url}" alt="{alt}">'


def _player(name, pictures, n_series):
    """Returns (the last picture with its player, its frames)."""
    n_frames = min(_N_FRAMES, len(pictures))
    chosen = [
        pictures[i]
        for i in np.linspace(0, len(pictures) - 1, n_frames).round().astype(int)
    ]
    # The page already holds the last picture: its script takes it from there.
    size = _FRAME_BYTES // n_series
    frames = [
        {"step": step, "src": pages.data_url(path, size)} for step, path in chosen[:-1]
    ]
    step, path = chosen[-1]
    frames.append({"step": step})
    last = n_frames - 1
    player = f"""
<div class="player" hidden>
<button type="button">Play</button>
<input type="range" min="0" max="{last}" value="{last}" step="1" aria-label="Step">
<output>step {step:,}</output>
</div>"""
    title = pages.escape(name.replace("_", " "))
    heading = f"Samples: {title}" if name else "Samples"
    animation = _moving(path, f"Animation of step {step}")
    figure = f"""<figure class="samples player-of card">
<h3>{heading}</h3>
<img src="{pages.data_url(path, _LAST_BYTES // n_series)}" \
alt="{title or "Samples"} at step {step}">
{player if last else f"<figcaption>step {step:,}</figcaption>"}{animation}
</figure>"""
    return figure, frames


def memorisation(folder: Path, evaluations: Iterable[Mapping[str, Any]]) -> str:
    """Returns the section of samples beside their nearest training images, or "".

    evaluations: the lines of evaluations.jsonl. Of each extractor, and output, the
    newest picture is shown, with what was measured when it was drawn.
    """
    shown: dict[str, tuple[str, str, int, float | None]] = {}
    drawn: dict[str, str] = {}  # the score that has drawn each picture last
    for evaluation in evaluations:
        results, step = evaluation.get("results") or {}, evaluation.get("step", 0)
        for name, result in results.items():
            if "memorisation_distance" in name and result.get("picture"):
                file = Path(result["picture"]).name
                by = name.replace("memorisation_distance_", "").replace("/", ", ")
                share = results.get(name.replace("_distance", "_share"), {})
                shown.pop(drawn.get(file, ""), None)
                drawn[file] = name
                shown[name] = file, by, step, share.get("value")
    parts = [
        _pairs(folder / file, by, step, share)
        for file, by, step, share in shown.values()
        if (folder / file).exists()
    ]
    if not parts:
        return ""
    return f"""<section aria-labelledby="memorisation">
<h2 id="memorisation">Does it repeat training images?</h2>
{"".join(parts)}
</section>"""


def _pairs(path, by, step, share):
    said = ""
    if share is not None:
        said = (
            f"{share:.1%} of the samples are as close to a training image as the "
            "closest 1 % of real images: "
        )
        said += (
            "about what new images give." if share < 0.05 else "more than by chance."
        )
    return f"""<figure class="samples card">
<img src="{pages.data_url(path, _LAST_BYTES)}" alt="Samples and training images">
<figcaption>{pages.escape(said)} The samples of step {step:,} that are closest to a \
training image by the features of {pages.escape(by)}, in the first and every other \
row; under each, that training image. Pairs that look exactly the same are copies.\
</figcaption>
</figure>
"""
