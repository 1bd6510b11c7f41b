"""Arithmetic of codes: a - b + c (Radford et al., arXiv 1511.06434, section 6.3).

Codes of three samples are averaged, as single ones were found unstable there; the means
are added and subtracted, and the result is drawn with eight others around it, at which
uniform noise is added to its code. Beside it stands the same arithmetic of pixels.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from experiments import origin
from experiments.latent_space import codes as spaces
from experiments.latent_space import outputs, seen
from experiments.sampling import asked, pictures
from experiments.sampling.model import Model
from gans.data.spec import class_of, label_field

N, N_POOL, AROUND, STEPS = 3, 1000, 8, 10
# The paper's z is uniform in [-1, 1], with deviation 0.577, and its noise in +-0.25.
AMOUNT = 0.43  # 0.25 / 0.577, in deviations of a code
_SEEDS = "seed:"


class Term(NamedTuple):
    """One term: its name, its sign, and the codes [n, ...] that are averaged."""

    name: str
    sign: int
    codes: np.ndarray


def run(
    workdir: str,
    *,
    out: str,
    expression: str,
    checkpoint: str | int | None = None,
    n: int = N,
    label: str | None = None,
    extractor: str | None = None,
    amount: float = AMOUNT,
) -> str:
    """Draws the terms, their sum and its surroundings; returns where the picture is.

    Args:
      out: x.png.
      expression: "seed:3,7,12 - seed:1,2 + 5": terms between " + " and " - ". A term is
        samples of seeds, or a class by its name or number: n samples of it. In W, a
        class is one that the model was asked for; else it is what a classifier is
        surest of, of the first 1,000 samples of seed 0.
      n: samples of a class that are averaged.
      label: the class of all samples, of a model that is asked for one.
      extractor: what says which class an image shows, see `extractors.find`; by default
        a classifier of the data's labels.
      amount: of noise: uniform, up to so many deviations of a code to both sides.

    Raises ValueError or OSError for what is wrong in them.
    """
    outputs.check(out, (".png",))
    parts = read(expression)
    if n < 1 or not amount >= 0:
        raise ValueError(f"--n={n} --amount={amount:g}: wanted 1 and 0, or more")
    space = spaces.of(Model.load(workdir, checkpoint or "last"), label)
    pool = space.of_seed(0, N_POOL)
    ranked = _Ranked(space, pool, extractor)
    terms = [
        Term(text, sign, _codes(space, text, n, ranked, extractor))
        for sign, text in parts
    ]
    found = total(terms)
    deviation = pool.std(0).mean()
    with origin.noted(**space.model.origin(), seed=expression):
        picture = _picture(space, terms, found, amount * deviation)
        pictures.save_png(outputs.made(out), picture)
    return out


def read(expression: str) -> list[tuple[int, str]]:
    """Returns [(1 or -1, term)] of "a - b + c"; ValueError for anything else."""
    words = re.split(r"\s+([+-])\s+", expression.strip())
    terms = [x.strip() for x in words[::2]]
    if len(terms) < 2 or not all(terms):
        raise ValueError(
            f"--expression={expression!r}: wanted terms between ' + ' and ' - ', such "
            "as 'seed:3,7 - seed:1,2 + 5': seeds, or classes by name or number"
        )
    signs = [1, *(1 if x == "+" else -1 for x in words[1::2])]
    return [*zip(signs, terms, strict=True)]


def total(terms: list[Term]) -> np.ndarray:
    """Returns the sum of the means of the codes of terms, by their signs: [...]."""
    return sum(term.sign * term.codes.mean(0) for term in terms)


def around(
    code: np.ndarray, amount: float, n: int = AROUND, seed: int = 0
) -> np.ndarray:
    """Returns n codes [n, ...] around a code [...], up to `amount` away in each number.

    Where a code is one latent for each layer [n_ws, w_dim], all layers move alike.
    """
    noise = np.random.default_rng(seed).uniform(-amount, amount, (n, code.shape[-1]))
    noise = noise.reshape(n, *(1,) * (code.ndim - 1), -1)
    return (code + noise).astype(code.dtype)


def _codes(space, text, n, ranked, extractor):
    """The codes [n, ...] of a term."""
    if text.startswith(_SEEDS):
        seeds = asked.seeds(text.removeprefix(_SEEDS), f"--expression: {_SEEDS}")
        return np.concatenate([space.of_seed(seed) for seed in seeds])
    if space.by_class and extractor is None:
        field = space.model.spec[label_field(space.model.spec)]
        return space.of_seed(0, n, label=class_of(field, _number(text)))
    return ranked.best(text, n)


class _Ranked:
    """Samples, and how sure a network is of which class they show."""

    def __init__(self, space: spaces.Codes, pool: np.ndarray, extractor: str | None):
        self.space, self.pool, self.extractor = space, pool, extractor
        self._logits: np.ndarray | None = None

    def best(self, text: str, n: int) -> np.ndarray:
        """Returns the codes [n, ...] of the samples that show a class most surely."""
        spec = self.space.model.spec
        field, name = spec.get(label_field(spec)), self.extractor
        if name is None and field is None:
            raise ValueError(
                f"--expression: {text}: the data of this model have no labels; "
                f"{_SEEDS}0,1,2 names samples, and --extractor=MODULE.NAME a function "
                "of images that returns logits"
            )
        if self._logits is None:
            space = self.space
            given = {"shape": space.shape, "config": space.model.config}
            x = seen.logits(space.images, self.pool, name or "classifier", **given)
            self._logits = x - np.logaddexp.reduce(x, axis=1, keepdims=True)
        k = self._logits.shape[1]
        if field is not None and field.n_classes == k:
            number = class_of(field, _number(text))
        elif not text.isdecimal() or int(text) >= k:
            raise ValueError(f"--expression: {text}: wanted a logit, from 0 to {k - 1}")
        else:
            number = int(text)
        shown = np.flatnonzero(self._logits.argmax(1) == number)
        if len(shown) < n:
            raise ValueError(
                f"--expression: {text}: {len(shown)} of {len(self.pool):,} samples "
                f"show it, fewer than --n={n}"
            )
        order = np.argsort(-self._logits[shown, number], kind="stable")
        return self.pool[shown[order[:n]]]


def _number(text):
    return int(text) if re.fullmatch(r"-\d+", text) else text


def _picture(space, terms, found, amount):
    """The terms, a row each; from the first to the result; and what is around it."""
    rows, images = [], []
    for term in terms:
        mean = term.codes.mean(0, keepdims=True)
        made = space.images(np.concatenate([term.codes, mean]))
        images.append(made[:-1].mean(0) * term.sign)
        sign = "" if not rows and term.sign > 0 else f"{'+' if term.sign > 0 else '-'} "
        caption = f"{sign}{_said(term)}, and last the mean of their {space.name}"
        rows.append((made, caption))
    first = terms[0].sign * terms[0].codes.mean(0)
    t = np.linspace(0, 1, STEPS).reshape(-1, *[1] * first.ndim)
    line = (first + t * (found - first)).astype(found.dtype)
    rows.append((space.images(line), "from the first term to the result"))
    near = np.concatenate([found[None], around(found, amount)])
    pixels = np.clip(sum(images), -1, 1)[None]
    made = np.concatenate([pixels, space.images(near)])
    rows.append((made, "the same of pixels; the result; and eight around it"))
    strips = [
        pictures.captioned(pictures.grid(x, len(x)), [said], 1) for x, said in rows
    ]
    width = max(strip.shape[1] for strip in strips)
    padded = [
        np.pad(x, ((0, 0), (0, width - x.shape[1]), (0, 0)), constant_values=255)
        for x in strips
    ]
    return np.concatenate(padded)


def _said(term: Term) -> str:
    """ "seeds 1,2,3", or the name of a class."""
    if term.name.startswith(_SEEDS):
        return f"seeds {term.name.removeprefix(_SEEDS)}"
    return f"class {term.name}"
