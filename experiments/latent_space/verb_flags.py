"""The flags of `experiments.latents`, and which verb takes which.

It imports nothing heavy.
"""

import sys

from absl import flags

from experiments import cli

WEIGHTS = ("lpips-trunk", "lpips-heads")
SHARED = ("workdir", "out", "checkpoint", "class")
# What each verb takes beside these, and what it cannot do without.
VERBS = {
    "mix": ("rows", "columns", "layers", "truncation"),
    "interpolate": ("seeds", "frames", "path", "fps", "truncation"),
    "project": ("input", "into", "steps", "distance", "seed", "overwrite"),
    "directions": ("method", "layers", "n", "extractor"),
    "edit": ("directions", "seeds", "amount", "frames", "layers", "truncation"),
    "arithmetic": ("expression", "n", "extractor", "amount"),
    "pan": ("seeds", "amount", "frames", "fps", "beside", "truncation"),
    "rotate": ("seeds", "frames", "fps", "beside", "truncation"),
    "sticking": ("seeds", "amount", "truncation"),
}
NEEDED = {"project": ("input",), "edit": ("directions",), "arithmetic": ("expression",)}


def given(verb: str) -> dict:
    """Returns the arguments of a verb's `run` that the flags give."""
    values = {name: flags.FLAGS[name].value for name in (*SHARED, *VERBS[verb])}
    if verb == "project":
        weights = {name: flags.FLAGS[f"{name}-weights"].value for name in WEIGHTS}
        values["weights"] = weights
    values["label"] = values.pop("class")
    return {name: value for name, value in values.items() if value is not None}


def parse(argv: list[str]) -> list[str]:
    """Parses the flags; returns the command's name and the verb.

    Ends the process, with a line, for a verb or a flag that there is not.
    """
    try:
        name, *verbs = cli.read(argv)
        if len(verbs) != 1 or verbs[0] not in VERBS:
            got = f", got {' '.join(verbs)}" if verbs else ""
            raise ValueError(f"wanted one of {', '.join(VERBS)}{got}")
        (verb,) = verbs
        others = {x for of_verb in VERBS.values() for x in of_verb} - {*VERBS[verb]}
        others |= set() if verb == "project" else {f"{x}-weights" for x in WEIGHTS}
        for flag in sorted(others):
            if flags.FLAGS[flag].value is not None:
                known = ", ".join(f"--{x}" for x in (*SHARED, *VERBS[verb]))
                raise ValueError(f"--{flag} is not a flag of {verb}, which has {known}")
        for flag in NEEDED.get(verb, ()):
            if flags.FLAGS[flag].value is None:
                said = " ".join(flags.FLAGS[flag].help.split())
                raise ValueError(f"--{flag} is missing: {said}")
    except (flags.Error, ValueError) as error:
        sys.exit(cli.failed(error))
    return [name, verb]


def define() -> None:
    """Defines the flags."""
    cli.path_flag("workdir", None, "Folder of the run.", required=True)
    cli.path_flag("out", None, "Where to; see above.", required=True)
    flags.DEFINE_string("checkpoint", None, "last, best, or a step; by default last.")
    flags.DEFINE_string("class", None, "Class, by name or number; or several: cat,dog.")
    flags.DEFINE_float("truncation", None, "Psi of the truncation trick, as 0.7 (1).")
    flags.DEFINE_string(
        "seeds", None, "interpolate (0-5), others (0-3): seeds, and .npz of project."
    )
    flags.DEFINE_string("rows", None, "mix: what is changed, see --seeds (0-3).")
    flags.DEFINE_string("columns", None, "mix: whose styles are taken (4-9).")
    flags.DEFINE_string(
        "layers",
        None,
        "mix (coarse,middle,fine), directions (all), edit (those of the directions): "
        "coarse, middle, fine, all, or numbers as 0-3; + joins them.",
    )
    flags.DEFINE_integer(
        "frames",
        None,
        "interpolate: from point to point (48); pan, rotate: all (48); edit: of a "
        "slider (9).",
    )
    flags.DEFINE_enum(
        "path",
        None,
        ["spline", "line", "sphere"],
        "interpolate: a smooth curve (spline) or straight lines in W; circles in Z.",
    )
    flags.DEFINE_float("fps", None, "interpolate, pan, rotate: frames a second (24).")
    cli.path_flag("beside", None, "pan, rotate: another run, whose images are below.")
    cli.path_flag("input", None, "project: a picture, or a folder of them.")
    flags.DEFINE_enum(
        "into", None, ["w", "w+"], "project: one w (w), or one for each layer."
    )
    flags.DEFINE_integer("steps", None, "project: of the optimisation (1000).")
    flags.DEFINE_string(
        "distance",
        None,
        "project: what is made small: lpips_vgg (the default), lpips_alex, "
        "lpips_squeeze, l2 (of pixels), or MODULE.NAME of your own.",
    )
    flags.DEFINE_integer("seed", None, "project: of the noise (0).")
    flags.DEFINE_boolean("overwrite", None, "project: replace what was made otherwise.")
    for name in WEIGHTS:
        cli.path_flag(f"{name}-weights", None, f"project: file of {name}'s weights.")
    flags.DEFINE_enum(
        "method",
        None,
        ["sefa", "labels"],
        "directions: in closed form (sefa), or from each class to the others.",
    )
    flags.DEFINE_integer(
        "n",
        None,
        "directions: of sefa (8); samples of labels (2000); arithmetic: samples of a "
        "class that are averaged (3).",
    )
    flags.DEFINE_string(
        "expression",
        None,
        "arithmetic: terms between ' + ' and ' - ', as 'seed:3,7 - seed:1,2 + 5': "
        "seeds of samples, or classes by name or number.",
    )
    flags.DEFINE_string(
        "extractor",
        None,
        "directions, arithmetic: the network that says of which class an image is; by "
        "default the class that was asked for, or a classifier of the data's labels.",
    )
    flags.DEFINE_string("directions", None, "edit: files of directions: x.npz,y.npz.")
    flags.DEFINE_float(
        "amount",
        None,
        "edit (3), sticking (0.3): how far, in deviations of w; arithmetic (0.43): "
        "noise, in deviations of a code; pan (0.1): the radius, in sides of the image.",
    )
