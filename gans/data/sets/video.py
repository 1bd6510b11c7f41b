"""Clips of the user's own videos: `video:PATH`."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tqdm

from gans.data import footage, reading
from gans.data.notes import note
from gans.data.sets import OptionWanted, expanded, folder, options
from gans.data.source import MEMORY_LIMIT, Arrays, Source
from gans.data.spec import Field, Spec
from gans.data.tree import Tree, walk
from gans.names import natural

NAMES = ("video:PATH",)
SEEDED = False
OPTIONS = {"strip": (), "classes": ("yes", "no"), "fit": ("crop", "squash")}
SUCH_AS = ".gif, .webp, .png of several frames, .mp4, or folders of numbered pictures"


def load(
    path: str,
    *,
    resolution: int | None = None,
    channels: int | None = 3,
    split: str = "train",
    skip_corrupt: bool = False,
    frames: int = 16,
    stride: int = 1,
    **_unused,
) -> Clips:
    """Clips `video` uint8 [T, R, R, C] of all videos below the folder `path`.

    A video is a GIF, WebP, PNG or TIFF of several frames; a film, such as .mp4, for
    which the package av is needed; or all other pictures of a folder, in natural order.
    With "PATH:strip=64" a picture is rows of frames of 64x64 pixels, side by side, each
    row a video; with "strip=64x48" frames are 64 wide. `path` may be one such file.

    Frames become uint8 [R, R, C] as pictures of `folder:PATH` do. Sub-folders that hold
    videos are classes or splits as they are there, and "classes=no" and "fit=squash"
    are accepted. T = `frames`, and `stride` frames of the video are from each to the
    next. Videos too short for that are left out, and counted.

    Raises FileNotFoundError without videos; ValueError naming a file that cannot be
    read, unless `skip_corrupt` is set; where all videos are too short; and for frames
    of several sizes without a `resolution`.
    """
    name = f"video:{path}"
    path, given = options(name, path, OPTIONS)
    side = _side(name, given["strip"]) if "strip" in given else None
    root, tree = _found(name, expanded(path))
    forms = _forms(name, root, tree, side)
    tree = dataclasses.replace(tree, pictures=[*forms])
    top, inside, labels, classes = folder.arranged(
        name, path, tree, split, with_classes=given.get("classes") != "no"
    )
    chosen = [forms[f"{top}/{x}" if top else x] for x in inside]
    lost = {"left_out": dict(tree.left_out.most_common()), "links": tree.n_links}

    read = folder.reader(name, resolution, channels, given)
    measure = functools.partial(_measured, read=read if skip_corrupt else None)
    measures = _mapped(measure, chosen, f"measuring {name}")
    broken = [x for x in measures if isinstance(x, OptionWanted)]
    if broken and (not skip_corrupt or len(broken) == len(chosen)):
        raise broken[0]
    if broken:
        some = "; ".join(map(str, broken[:10])) + (" ..." if len(broken) > 10 else "")
        note(f"{name}: left out {len(broken)} of {len(chosen)} files: {some}")
    lost["corrupt"] = len(broken)

    span = (frames - 1) * stride + 1
    wanted = f"{span} frames" + (f" (frames={frames}, stride={stride})" * (stride > 1))
    known = [i for i, x in enumerate(measures) if isinstance(x, footage.Measure)]
    kept = [i for i in known if measures[i].length >= span]
    short = [i for i in known if measures[i].length < span]
    lost["short"] = sum(measures[i].n for i in short)
    if not kept:
        i = max(known, key=lambda i: measures[i].length)
        raise ValueError(
            f"{name}: no video has {wanted}; the longest, {chosen[i].name or path}, "
            f"has {measures[i].length}"
        )
    if short:
        n = sum(measures[i].n for i in known)
        some = folder.some([f"{chosen[i].name} ({measures[i].length})" for i in short])
        note(f"{name}: left out {lost['short']} of {n} videos under {wanted}: {some}")
    chosen, measures = [chosen[i] for i in kept], [measures[i] for i in kept]
    counts = [x.n for x in measures]
    size = (resolution,) * 2 if resolution else _common_size(name, chosen, measures)

    shape = (frames, *size, read.channels)
    spec = {"video": Field("video", shape, "uint8")}
    if labels is not None:
        labels = labels[kept].repeat(counts)
        spec["label"] = folder.label_field(classes)
        empty = np.setdiff1d(np.arange(len(classes)), labels)
        if len(empty):
            raise ValueError(f"{name}: no video of {classes[empty[0]]!r} is left")
    lengths = np.repeat([x.length for x in measures], counts)
    n_bytes = int(lengths.sum()) * int(np.prod(shape[1:]))
    held = n_bytes <= MEMORY_LIMIT
    return Clips(
        name,
        spec,
        lengths,
        stride,
        _reading(name, chosen, read, shape, packed=not held)
        if held or side
        else _streaming(chosen, read),
        labels,
        streamed=not held,
        lost={key: x for key, x in lost.items() if x},
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Clips(Source):
    """Parts of videos, of equal length.

    A video has as many rows as it holds clips that do not overlap. With `draws` (see
    `gans.data.pipeline.batches`) a row is another part of its video in each epoch;
    without, always the same one.

    Attributes:
      name, spec, streamed: see `gans.data.source`.
      n_frames: int [V], of each video.
      stride: from a frame of a clip to the next.
      part: (video, range of frames) -> uint8 [T, R, R, C].
      labels: int32 [V], or None.
      lost: what `reading` returns.
    """

    name: str
    spec: Spec
    n_frames: np.ndarray
    stride: int
    part: Callable[[int, range], np.ndarray]
    labels: np.ndarray | None = None
    streamed: bool = False
    lost: dict[str, Any] = dataclasses.field(default_factory=dict)

    augmented = True

    @property
    def _span(self) -> int:
        return (self.spec["video"].shape[0] - 1) * self.stride + 1

    @functools.cached_property
    def _rows(self) -> np.ndarray:
        """The first row of each video, and how many there are: int [V + 1]."""
        return np.concatenate([[0], np.cumsum(self.n_frames // self._span)])

    def __len__(self) -> int:
        return int(self._rows[-1])

    def reading(self) -> dict[str, Any]:
        """Returns how many files and videos were left out."""
        return self.lost

    def take(
        self, indices: np.ndarray, draws: Sequence[np.ndarray] | None = None
    ) -> Arrays:
        """Clips `indices` [B]; draws: ([B],), random numbers of their places."""
        videos = np.searchsorted(self._rows, indices, side="right") - 1
        starts = (indices - self._rows[videos]) * self._span
        if draws:  # the lower half of their bits may choose where frames are cut
            free = self.n_frames[videos] - self._span + 1
            starts = ((draws[0] >> np.uint64(32)) % free.astype(np.uint64)).astype(int)
        parts = [
            self.part(v, range(start, start + self._span, self.stride))
            for v, start in zip(videos.tolist(), starts.tolist(), strict=True)
        ]
        taken = {"video": np.stack(parts)}
        return taken if self.labels is None else taken | {"label": self.labels[videos]}


def _side(name, text):
    """(width, height) of the option strip."""
    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if not found:
        raise ValueError(
            f"{name}: strip={text!r} is not the width of a frame, such as 64, or "
            "WIDTHxHEIGHT"
        )
    return int(found[1]), int(found[2] or found[1])


def _found(name, path):
    """(root, tree) of a folder of videos, or of one that is a file."""
    if os.path.isfile(path):
        return os.path.dirname(path), Tree([os.path.basename(path)], [], Counter(), 0)
    tree = walk(reading.folder(name, path), footage.FILMS)
    folder.check_found(name, tree, "videos", SUCH_AS)
    return path, tree


def _forms(name, root, tree, side):
    """{path below the root: form} of all videos, in the order of their paths."""
    found, frames = {}, {}
    of_several = [x for x in tree.pictures if _ending(x) in footage.ANIMATED]
    paths = [os.path.join(root, x) for x in of_several]
    animated = {}
    if not side:
        known = _mapped(footage.is_animated, paths, f"looking through {name}")
        animated = dict(zip(of_several, known, strict=True))
    for inside in tree.pictures:
        path = os.path.join(root, inside)
        if _ending(inside) in footage.FILMS:
            found[inside] = footage.film(inside, path)
        elif side:
            found[inside] = footage.Strips(inside, path, side)
        elif animated.get(inside):
            found[inside] = footage.Animation(inside, path)
        else:
            frames.setdefault(os.path.dirname(inside), []).append(path)
    for inside, paths in frames.items():
        paths = tuple(sorted(paths, key=natural))
        found[inside] = footage.Pictures(inside, os.path.join(root, inside), paths)
    return {x: found[x] for x in sorted(found)}


def _ending(path):
    return os.path.splitext(path)[1].lower()


def _mapped(function, items, said):
    """[function(x), ...] by several threads, with a progress bar."""
    pool = ThreadPoolExecutor()
    try:
        bar = tqdm.tqdm(
            pool.map(function, items),
            desc=said,
            total=len(items),
            unit=" files",
            leave=False,
            delay=1,
            disable=None,  # at a terminal only: it would break lines of a log
        )
        return list(bar)
    finally:  # an error or an interrupt does not wait for the rest
        pool.shutdown(cancel_futures=True)


def _measured(form, read):
    """What a form measures, or why it cannot be read; read: decodes it, or None."""
    try:
        with reading.refusing(form.path):
            if read:
                form.whole(read)
            return form.measure()
    except OptionWanted as error:
        return error


def _common_size(name, forms, measures):
    """(height, width) that all share; OptionWanted if there are several."""
    sizes = {x.size: form.name for x, form in zip(measures, forms, strict=True)}
    if len(sizes) > 1:
        (a, b), (c, d), *_ = sizes
        one, other, *_ = sizes.values()
        raise OptionWanted(
            f"{name} holds videos of several sizes ({one} is {b}x{a}, {other} is "
            f"{d}x{c})",
            "resolution",
        )
    return next(iter(sizes))


def _reading(name, forms, read, shape, packed):
    """`Clips.part` of videos that are decoded once, and held: packed, if they are many.

    Packing suits drawings, as in most strips, and costs a millisecond a clip.
    """

    def whole(form):
        with reading.refusing(form.path):
            videos = form.whole(read)
        return [zlib.compress(x, 1) for x in videos] if packed else videos

    videos = [x for part in _mapped(whole, forms, f"decoding {name}") for x in part]

    def part(video, chosen):
        x = videos[video]
        if packed:
            x = np.frombuffer(zlib.decompress(x), np.uint8).reshape(-1, *shape[1:])
        return x[chosen.start : chosen.stop : chosen.step]

    return part


def _streaming(forms, read):
    """`Clips.part` of videos that are read whenever they are asked for."""

    def part(video, chosen):
        with reading.refusing(forms[video].path):
            with contextlib.closing(forms[video].frames(chosen)) as frames:
                return np.stack([read.fit(x) for x in frames])

    return part
