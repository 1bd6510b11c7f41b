"""Has people judge pictures: a page for participants, and what their answers say.

    python -m experiments.human_study --real=DIR|DATA --fake=DIR|WORKDIR --out=x.html
        [--task=choice|single|staircase] [--seconds=1] [--trials=50] [--catches=5]
    python -m experiments.human_study --answers=DIR|FILES --key=x.key.json
        [--out=x.json]

The page is one file that works without a network. --fake may be given several times:
a folder of pictures, an .npz or .npy, a data set, or the folder of a run, of which
samples are drawn. Beside x.html lies x.key.json, which says what is real: keep it.

--task=choice: a real and a generated picture side by side; which is real?
--task=single: one picture, real or generated? Without a limit of time the error rate
  is HYPE-infinity (arXiv 1904.01121).
--task=staircase: the same, with ever less time while answers are right: HYPE-time.

Participants save their answers as a file each. Error rates of the models are printed
with intervals and tests between them; --out=x.json gets them with each participant's.
"""

import sys

from absl import flags

from experiments import cli

MAKING = ("real", "task", "seconds", "trials", "catches", "seed", "resize")
MAKING += ("checkpoint", "consent", "fake")


def main(study):
    """Makes a study or reads its answers, with the imported `judging.study`."""
    values = flags.FLAGS
    if values.answers:
        lines = study.analyse(values.answers, values.key, values.out)
    else:
        given = {name: flags.FLAGS[name].value for name in MAKING}
        real, fakes = given.pop("real"), given.pop("fake")
        given["resolution"] = given.pop("resize")
        lines = study.make(real, fakes, values.out, **given)
    print("\n".join(lines))


def parse(argv):
    """Parses the flags of one of the two ways; returns the command's name."""
    rest = cli.flags_only(argv)
    if flags.FLAGS.answers:
        way, wanted, others = "--answers", ("key",), MAKING
    else:
        way, wanted, others = "a new study", ("real", "fake", "out"), ("key",)
    for name in wanted:
        if not flags.FLAGS[name].value:
            said = " ".join(flags.FLAGS[name].help.split())
            sys.exit(cli.failed(f"--{name} is missing: {said}"))
    for name in others:
        if flags.FLAGS[name].present:
            sys.exit(cli.failed(f"--{name} does not go with {way}"))
    return rest


if __name__ == "__main__":
    cli.path_flag("real", None, "Real pictures: a folder, an .npz, or a data set.")
    cli.path_flag(
        "fake",
        None,
        "Generated ones: a folder, a data set or a run; several times for several.",
        several=True,
    )
    cli.path_flag("out", None, "The page, x.html; with --answers the results, x.json.")
    flags.DEFINE_string("task", "choice", "choice, single or staircase.")
    flags.DEFINE_float(
        "seconds",
        None,
        "How long pictures are shown; 0: as long as one likes. (1 of choice, 0 of "
        "single; a staircase sets its times itself.)",
        lower_bound=0,
    )
    flags.DEFINE_integer(
        "trials",
        None,
        "Of each model: pairs (50), generated pictures, beside as many real ones (50), "
        "or pictures of a staircase, half of them real (150).",
        lower_bound=2,
    )
    flags.DEFINE_integer(
        "catches", 5, "Trials that only inattention gets wrong.", lower_bound=0
    )
    flags.DEFINE_integer("seed", 0, "Of the choice of pictures, samples and pairs.")
    flags.DEFINE_integer("resize", None, "Crops and resizes pictures of sets.")
    flags.DEFINE_string("checkpoint", None, "Of runs: last, best or a step.")
    flags.DEFINE_string("consent", None, "What participants agree to, in a line.")
    cli.path_flag(
        "answers", None, "Files of answers, or a folder of them.", several=True
    )
    cli.path_flag("key", None, "The key of the study, x.key.json.")
    cli.main(main, "experiments.judging.study", parse=parse)
