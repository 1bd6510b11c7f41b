"""The flags that all commands with scores share. It imports nothing heavy."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

from absl import flags

from experiments import cli
from experiments.files import check_json

WEIGHTS = ("inception", "squeezenet", "lpips-trunk", "lpips-heads", "dinov2", "clip")


def define() -> None:
    """Defines the flags."""
    flags.DEFINE_string(
        "metrics", None, "Comma-separated scores: fid,kid,is,pr(k=5),dc, ..."
    )
    flags.DEFINE_string(
        "extractor",
        None,
        "auto, inception, classifier, random, squeezenet, lpips_vgg, _alex, _squeeze, "
        "dinov2_vits14, _vitb14, _vitl14, clip_vitb32, _vitl14, "
        "or MODULE.NAME of a function of your own.",
    )
    flags.DEFINE_enum(
        "preset", "tf", ["tf", "pytorch", "clean"], "How Inception's input is resized."
    )
    for name in WEIGHTS:
        cli.path_flag(f"{name}-weights", None, f"File of {name}'s weights.")
    flags.DEFINE_integer("n", None, "Use this many images of each side.", lower_bound=2)
    flags.DEFINE_integer("seed", 0, "Seed of subsets and bootstrap replicates.")
    cli.path_flag("out", None, "JSON file for the results.")


def metrics() -> tuple[str, ...]:
    """Returns the metrics that the flag names; commas in parentheses do not split."""
    given = flags.FLAGS.metrics or ""
    found = re.split(r",(?![^()]*\))", given)
    return tuple(name.strip() for name in found if name.strip())


def weights() -> dict[str, str | None]:
    """Returns the files of weights that the flags name."""
    return {name: flags.FLAGS[f"{name}-weights"].value for name in WEIGHTS}


def check_file(flag: str, path: str | os.PathLike, suffix: str = "") -> None:
    """Checks that a file can be written, before the work begins.

    Raises ValueError for a folder and for another suffix, FileNotFoundError where there
    is no folder for it, FileExistsError for a file with other content than is written.
    """
    path = Path(path)
    if not path.name.endswith(suffix) or path.is_dir():
        raise ValueError(f"{flag}={path}: wanted a file named *{suffix}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{flag}={path}: there is no folder {path.parent}")
    if suffix != ".npz":
        check_json(flag, path, "results")
    elif path.exists() and not {"mu.npy", "sigma.npy"} <= _members(path):
        raise FileExistsError(
            f"{flag}={path}: this file holds no statistics; remove it, or choose "
            "another name"
        )


def _members(path):
    """The names of an archive's files, {} of anything else."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {*archive.namelist()}
    except zipfile.BadZipFile:
        return set()
