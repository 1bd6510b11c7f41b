"""Everything that a model makes of the test rows, as a page of pictures.

WORKDIR/gallery/index.html shows, row by row, what was given, what was made of it and
what it should be. The pictures are files beside it, which a browser loads when they
come into view.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from experiments import origin
from experiments.evaluation.pairs import in_float64
from experiments.evaluation.setting import Setting
from experiments.origin import files as origins
from experiments.pages import gallery as page
from experiments.sampling import pictures
from gans.data.kinds.image import encode, opaque
from gans.metrics.scores import fidelity

MOST = 500  # rows of an output
SIDE = 256  # pixels of a picture, at most
_GAP = 4  # pixels
_BETWEEN = (255, 255, 255)
_SMALL = 96  # smaller pictures are enlarged, pixel by pixel, to nearly as many
LEVELS = 127.5  # in a unit of [-1, 1]


def write(model: Any, config: Any, folder: str | os.PathLike) -> str:
    """Writes the gallery of a model into FOLDER/gallery; returns the page's path.

    Of more than 500 rows so many are shown, chosen at random once.

    Raises ValueError for a model none of whose outputs are images made of examples,
    FileExistsError if the page there is not of this kind.
    """
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        config.n_evaluate = min(config.n_evaluate, MOST)
    setting = Setting(
        model.gan, model.data, config, samplers=model.samplers, place="--gallery"
    )
    made_of = {
        x: dict.fromkeys(setting.sampler(x).depends_on)
        for x in model.samplers.drawable()
    }
    fields = {x: _field(setting, x) for x in made_of if made_of[x]}
    fields = {x: [field] for x, field in fields.items() if field}
    shown = pictures.groups(fields, made_of)
    if not shown:
        raise ValueError(
            f"--gallery: {config.variant} makes no images of examples: its outputs are "
            f"{', '.join(model.outputs)}"
        )
    folder = Path(folder) / page.FOLDER
    page.check(folder)
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.webp"):
        old.unlink()
    parts = [_part(setting, model.state, x, folder) for x in shown]
    step = f"step {int(model.state.step):,}"
    return page.write(folder, f"{config.variant} on {config.data}, {step}", parts)


def _field(setting, output):
    """The only field of images that an output has; None if there is none."""
    try:
        return setting.field("gallery", output, "image")
    except ValueError:
        return None


def _part(setting, state, together, folder):
    """What the page shows of outputs that are made of the same examples."""
    plan, sampler = setting.plan(together[0]), setting.sampler(together[0])
    fields = {x: _field(setting, x) for x in together}
    streams = [setting.encoded(state, x, fields[x]) for x in together]
    rows, start, captions, size = [], 0, (), (0, 0)
    options = origins.options("WEBP", source=origin.EDITED)
    bar = tqdm(desc="gallery", total=plan.n, unit=" rows", disable=None, leave=False)
    with bar:
        for batches in zip(*streams, strict=True):
            chosen = plan.rows[start : start + len(batches[0])]
            start += len(chosen)
            given = _encoded(sampler.given(sampler.examples(len(chosen), rows=chosen)))
            targets = _encoded(sampler.targets(len(chosen), chosen))
            made = dict(zip(together, batches, strict=True))
            scores = _scores(made, fields, {**given, **targets})
            columns = {f"input {x}": y for x, y in given.items()}
            columns |= {pictures.said(x, fields[x]): y for x, y in made.items()}
            columns |= {f"target {x}": y for x, y in targets.items()}
            captions = tuple(columns)
            for i, row in enumerate(chosen.tolist()):
                strip = _strip([x[i] for x in columns.values()])
                path = folder / f"{together[0]}_{row:06d}.webp"
                strip.save(path, "WEBP", quality=90, **options)
                size = strip.size
                own = {name: float(x[i]) for name, x in scores.items()}
                rows.append(page.Row(row, path.name, own))
            bar.update(len(chosen))
    noted = f"Made of {', '.join(sampler.depends_on)}: {plan.rows_said}."
    title = ", ".join("outputs" if x == "sample" else x for x in together)
    return page.Part(title.replace("_", " "), captions, rows, size, noted)


def _encoded(decoded):
    return {x: encode(y) for x, y in decoded.items() if np.ndim(y) == 4}


def _scores(made, fields, real):
    """{score: [n]} of outputs that have a real image in the rows; low or high is good.

    Scores of whatever returns its input are called "cycle".
    """
    found = {}
    for output, x in made.items():
        y = real.get(fields[output])
        if y is None:
            continue
        names = {"l1": _l1}
        if min(x.shape[1:3]) >= fidelity.WINDOW:
            names["ssim"] = _ssim
        for name, measure in names.items():
            own = name if len(made) == 1 else f"{output.replace('_', ' ')}, {name}"
            found[own] = np.asarray(measure(x, y))
    return found


_l1 = in_float64(lambda x, y: fidelity.l1(x, y) / LEVELS)
_ssim = in_float64(fidelity.ssim)


def _strip(tiles):
    """Pictures uint8 [H, W, C] side by side, each at most SIDE pixels high and wide."""
    shown = [_tile(x) for x in tiles]
    width = sum(x.width for x in shown) + _GAP * (len(shown) - 1)
    strip = Image.new("RGB", (width, max(x.height for x in shown)), _BETWEEN)
    at = 0
    for picture in shown:
        strip.paste(picture, (at, 0))
        at += picture.width + _GAP
    return strip


def _tile(x):
    x = opaque(x)
    picture = Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x).convert("RGB")
    factor = max(1, _SMALL // max(picture.size))
    if factor > 1:
        return picture.resize([factor * n for n in picture.size], Image.NEAREST)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return picture
