"""Pictures projected into W or W+: latents, a strip of the progress, distances."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from experiments.files import remove_left
from experiments.latent_space import distances, points
from experiments.latent_space.generator import Styled
from experiments.latent_space.projection import Progress, Projector
from experiments.sampling import asked, pictures
from experiments.translation import picture, places
from experiments.translation.folder import Count, earlier
from gans import names
from gans.data.image import fit
from gans.data.kinds.image import decode

SPACES = ("w", "w+")
STEPS, DISTANCE = 1000, "lpips_vgg"
_TILE = 128  # pixels, to which small images of the strip are enlarged
SHOWN = (0, 0.1, 0.25, 0.5, 0.75, 1)  # shares of the steps, in the strip


@dataclasses.dataclass
class Projected(Count):
    """A `Count`, and [distance before, distance after] of all that are there."""

    name: str = ""
    distances: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{self.made} projected"]
        parts += [f"{self.kept} were there already"] * bool(self.kept)
        parts += [f"{self.failed} failed"] * bool(self.failed)
        if self.distances:
            before, after = np.mean(self.distances, axis=0)
            mean = "mean " if len(self.distances) > 1 else ""
            parts.append(f"{mean}{self.name} {before:.4g} before, {after:.4g} after")
        return ", ".join(parts)


def run(
    workdir: str,
    *,
    input: str,
    out: str,
    checkpoint: str | int | None = None,
    into: str = "w",
    steps: int = STEPS,
    distance: str = DISTANCE,
    seed: int = 0,
    label: str | None = None,
    overwrite: bool = False,
    weights: dict[str, str | None] | None = None,
) -> Projected:
    """Projects a picture, or all of a folder.

    Of x.jpg, x.npz holds the latents `ws` [n_ws, w_dim], the planes of noise, and the
    distance before and after; x.png shows the picture, and the image after some of the
    steps. What is finished is kept, so that the same call goes on where another was
    stopped. A picture that cannot be read is named, and left out.

    Args:
      input: a picture, or a folder of them, with sub-folders.
      out: a folder, which is made.
      into: "w", one w for all layers, or "w+", one for each.
      steps: of the optimisation.
      distance: that is made small, see `distances.find`.
      seed: of the noise.
      label: the class whose mean w is the start.
      overwrite: replaces files that were made in another way.
      weights: files of the distance's weights, see `extractors.find`.

    Raises ValueError or OSError for what is wrong in them.
    """
    names.check(into, SPACES, "--into")
    names.number(steps, lambda n: n >= 1, "--steps", "of at least 1")
    if Path(out).suffix in (".npz", *picture.SUFFIXES):
        raise ValueError(f"--out={out}: wanted a folder, for a picture and an .npz")
    jobs = places.jobs(input, out)
    styled = Styled.load(workdir, checkpoint)
    label = asked.classes(styled.model.spec, label)
    measure = distances.find(distance, styled.shape, weights or {})
    w_avg, w_std = styled.statistics(label)
    settings = {
        "step": int(styled.model.state.step),
        "weights": styled.digest,
        "space": into,
        "steps": steps,
        "distance": measure.name,
        "class": label,
        "seed": seed,
    }
    found = earlier(jobs, settings, overwrite)
    projector = Projector(
        styled.synthesis,
        styled.kept,
        measure.embed,
        measure.variables,
        n_ws=styled.n_ws,
        w_avg=w_avg,
        w_std=w_std,
        steps=steps,
    )
    count = Projected(name=measure.name)
    for folder in {job.targets[0].parent for job in jobs}:
        os.makedirs(folder, exist_ok=True)
        remove_left(folder)
    # disable=None: at a terminal only
    for job in tqdm(jobs, unit=" pictures", disable=None):
        try:
            content = job.source.read_bytes()
            own = {"input": job.name, "crc32": zlib.crc32(content)}
            record = settings | own
            kept = _kept(job, found.get(job.targets[0]), record)
            if kept is not None:
                count.kept += 1
                count.distances.append(kept)
                continue
            image = decode(_read(content, job.name, styled.shape))
            far = _project(projector, styled, image, job, record)
        except (OSError, ValueError, FloatingPointError) as error:
            if isinstance(error, OSError) and error.errno:  # of the disk
                raise
            count.failed += 1
            tqdm.write(f"cannot project {job.source}: {error}", sys.stderr)
            continue
        count.made += 1
        count.distances.append(far)
        said = f"{measure.name} {far[0]:.4g} before, {far[1]:.4g} after"
        tqdm.write(f"{job.name}: {said}", sys.stderr)
    return count


def _kept(job, record, wanted) -> tuple[float, float] | None:
    """The distances of what is finished; None of what is still to be made."""
    latents = job.targets[0].with_suffix(".npz")
    if record is None or not latents.is_file():
        return None
    if any(record.get(name) != value for name, value in wanted.items()):
        return None
    return record["before"], record["after"]


def _read(content, name, shape) -> np.ndarray:
    """The picture [H, W, C] of a file, of the generator's size; ValueError if none."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            size = image.size
            pixels = fit(image, shape[0], shape[2])
    except UnidentifiedImageError:
        raise ValueError("not a picture of a known format") from None
    except Exception as error:  # Pillow has a dozen kinds for damaged files
        raise ValueError(str(error) or type(error).__name__) from None
    if size != (shape[1], shape[0]):
        square = "" if size[0] == size[1] else "its centre square "
        tqdm.write(
            f"{name}: it is {size[0]}x{size[1]}; {square}resized to "
            f"{shape[1]}x{shape[0]}",
            sys.stderr,
        )
    return pixels


def _project(projector, styled, image, job, record) -> tuple[float, float]:
    """Projects one picture, and writes its files, the one with the record last."""
    shown = tuple(round(share * projector.steps) for share in SHOWN)
    made: list[Progress] = []
    steps = projector(
        np.asarray(image, np.float32),
        styled.noise,
        seed=record["seed"],
        each_layer=record["space"] == "w+",
        shown=shown,
    )
    with tqdm(total=projector.steps, unit=" steps", leave=False, disable=None) as bar:
        for progress in steps:
            bar.update(progress.step - bar.n)
            made.append(progress)
    first, last = made[0], made[-1]
    ws = np.broadcast_to(last.free.w, (styled.n_ws, styled.w_dim))
    far = {"before": first.distance, "after": last.distance}
    known = far | {"weights": styled.digest}
    target = job.targets[0]
    point = points.Point(target.stem, ws, last.free.noise)
    points.save(target.with_suffix(".npz"), point, known)
    strip = _strip(target, np.asarray(image), made)
    picture.save(target, strip, record | far)
    return first.distance, last.distance


def _strip(target, image, made: list[Progress]) -> Image.Image:
    """The picture beside the images after some steps, with their distances."""
    tiles = np.stack([image, *(x.image for x in made)])
    factor = max(1, _TILE // max(image.shape[:2]))
    tiles = tiles.repeat(factor, 1).repeat(factor, 2)
    captions = ["picture", *(f"{x.step}: {x.distance:.3g}" for x in made)]
    pixels = pictures.captioned(pictures.grid(tiles, len(tiles)), captions, len(tiles))
    return Image.fromarray(pixels)
