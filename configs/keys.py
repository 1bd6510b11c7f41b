"""The keys of a config, each declared once: default, type, range, and what it means.

Configs are built from these tables, values are checked against them, and `--help` and
docs/config.md are printed from them. A new key is one line here. A config file may have
keys of its own, in a table `KEYS` of the same form.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import config_dict

# NAME, "NAME(option=value, ...)", or {"name": NAME, "option": value, ...}.
Part = str | Mapping
Parts = tuple[Part, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Key:
    """A key of a config.

    Attributes:
      default: its value in a config that says nothing else.
      help: what it means, in a sentence.
      type: of its values, as an annotation: int, tuple[int, ...], Part, Parts.
      optional: None is accepted too.
      least, most: the smallest and the largest number that are accepted.
      above, below: numbers that all accepted ones are larger, or smaller, than.
      choices: the names that are accepted; (): any.
      calls: whether it counts steps of whole calls (see `steps_per_call`).
      free: whether a run may be continued with another value, bit for bit as it was.
      of_data: whether what a preset says is true of its own data alone: where a flag
        names other data, the default holds.
    """

    default: Any
    help: str
    type: Any
    optional: bool = False
    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    calls: bool = False
    free: bool = False
    of_data: bool = False


DATA = {
    "data": Key(
        default="",
        help="Data set: digits, circle, ring8, grid25, folder:PATH, array:PATH, "
        "tfds:NAME, stacked:digits, photos, python:MODULE:FUNCTION; for image "
        "translation pairs:PATH, unpaired:PATH, colourise:PATH, edges:PATH, "
        "inpaint:PATH, digits2flowers; for super-resolution sr:PATH, sr:photos; clips "
        "video:PATH, moving:digits; series:PATH; voxels:PATH or digits; captions:PATH.",
        type=str,
    ),
    "data_dir": Key(
        default=None,
        help="Folder of prepared TFDS data sets.",
        type=str,
        optional=True,
        free=True,
    ),
    "resolution": Key(
        default=None,
        help="Side of the images in pixels; they are cropped and resized to it.",
        type=int,
        optional=True,
        least=1,
        most=4096,
    ),
    "channels": Key(
        default=None,
        help="Channels of the images: 1 is grey, 3 is colour; None: as the data has.",
        type=int,
        optional=True,
        least=1,
        most=64,
        of_data=True,
    ),
    "frames": Key(
        default=16,
        help="Frames of a clip, of data that are video.",
        type=int,
        least=1,
        most=4096,
    ),
    "stride": Key(
        default=1,
        help="Frames of a video from one frame of a clip to the next; 1: all are kept.",
        type=int,
        least=1,
        most=4096,
    ),
    "n_classes": Key(
        default=None,
        help="Number of classes; None: as many as the data has.",
        type=int,
        optional=True,
        least=1,
        most=1_000_000,
    ),
    "flip": Key(
        default=False,
        help="Mirror images left to right, with probability 1/2.",
        type=bool,
    ),
    "jitter": Key(
        default=0,
        help="Images to train on are read so many pixels larger, and cropped at random "
        "to the resolution; 0: not.",
        type=int,
        least=0,
        most=4096,
    ),
    "data_weights": Key(
        default=(),
        help="How often each class comes, for each time by default; (): 1 for all.",
        type=tuple[float, ...],
        of_data=True,
    ),
    "skip_corrupt": Key(
        default=False,
        help="Leave out files of a folder that cannot be read, and say so.",
        type=bool,
    ),
}
TRAINING = {
    "batch_size": Key(
        default=64, help="Real examples in each step.", type=int, least=1, most=2**20
    ),
    "steps": Key(
        default=10_000,
        help="Length of the training, in batches of real data.",
        type=int,
        least=1,
        most=2**31 - 1,
        calls=True,
    ),
    "seed": Key(
        default=0,
        help="Of the first weights, the order of the data, and all noise.",
        type=int,
        least=0,
        most=2**32 - 1,
    ),
    "dtype": Key(
        default="float32",
        help="Of the networks' arithmetic.",
        type=str,
        choices=("float32", "bfloat16"),
    ),
    "steps_per_call": Key(
        default=1,
        help="Steps in one call of the compiled program; more is faster for small "
        "networks. It divides steps and every *_every.",
        type=int,
        least=1,
        most=2**20,
    ),
    "on_nan": Key(
        default="stop",
        help="At a loss that is not finite, stop, or go back to the last checkpoint "
        "and on with new random numbers.",
        type=str,
        choices=("stop", "rollback"),
        free=True,
    ),
}
LOGS = {
    "log_every": Key(
        default=100,
        help="Steps between two lines of metrics.jsonl, each the mean of the steps "
        "since the last; at the end there is always one.",
        type=int,
        least=1,
        most=2**31 - 1,
        calls=True,
        free=True,
    ),
    "diagnose_every": Key(
        default=1000,
        help="Steps between two measurements of the kernels' singular values; 0: "
        "never.",
        type=int,
        least=0,
        most=2**31 - 1,
        calls=True,
        free=True,
    ),
    "sample_every": Key(
        default=1000,
        help="Steps between two pictures of samples; at the end there is always one.",
        type=int,
        least=1,
        most=2**31 - 1,
        calls=True,
        free=True,
    ),
    "checkpoint_every": Key(
        default=1000,
        help="Steps between two checkpoints; there is always one before an evaluation, "
        "and at the end.",
        type=int,
        least=1,
        most=2**31 - 1,
        calls=True,
        free=True,
    ),
    "keep_checkpoints": Key(
        default=3,
        help="How many of the newest checkpoints are kept, beside the best.",
        type=int,
        least=1,
        most=2**31 - 1,
        free=True,
    ),
    "evaluate_every": Key(
        default=0,
        help="Steps between two evaluations; 0: only at the end.",
        type=int,
        least=0,
        most=2**31 - 1,
        calls=True,
        free=True,
    ),
    "n_evaluate": Key(
        default=10_000,
        help="Samples in each evaluation.",
        type=int,
        least=2,
        most=10_000_000,
        free=True,
    ),
    "metrics": Key(
        default=(),
        help="Scores of each evaluation, such as fid,kid,pr(k=5); the first chooses "
        "the best checkpoint.",
        type=Parts,
        free=True,
    ),
    "extractor": Key(
        default="auto",
        help="Network whose features the scores compare: inception, squeezenet, "
        "classifier, random, lpips_vgg, dinov2_vitl14, clip_vitb32 and others, see "
        "--help of evaluate, or MODULE:FUNCTION; auto: inception if its weights are at "
        "hand, else classifier, else random; of clips motion.",
        type=str,
        free=True,
    ),
}
# What the config of every run has.
RUN = {
    "variant": Key(
        default="",
        help="A file of gans/variants, or a module of your own with a dot in its name.",
        type=str,
    ),
    **DATA,
    **TRAINING,
    **LOGS,
}
# What the config of the game of two players has beside them.
GAME = {
    "loss": Key(
        default="non_saturating",
        help="Adversarial loss, such as hinge or non_saturating(smooth_real=0.1).",
        type=Part,
    ),
    "latent": Key(
        default=128,
        help="Dimensions of z, the generator's input.",
        type=int,
        least=1,
        most=2**20,
    ),
    "n_critic": Key(
        default=1,
        help="Updates of the discriminator, of a batch each, for one of the generator.",
        type=int,
        least=1,
        most=2**31 - 1,
    ),
    "n_critic_changes": Key(
        default=(),
        help="Other values of n_critic, each from a step on: ((step, n), ...).",
        type=tuple[tuple[int, int], ...],
    ),
    "ema": Key(
        default=0.999,
        help="Decay of the generator's average, per update of the generator.",
        type=float,
        least=0,
        below=1,
    ),
    "ema_half_life": Key(
        default=0.0,
        help="Its half-life in updates, instead of ema; 0: use ema.",
        type=float,
        least=0,
    ),
    "ema_ramp": Key(
        default=0.05,
        help="The half-life is at most this share of the updates made; None: no limit.",
        type=float,
        optional=True,
        above=0,
    ),
    "augment": Key(
        default=(),
        help="Augmentation of what the discriminator sees, such as diff_augment or "
        "ada(transforms=bgc).",
        type=Parts,
    ),
    "label_flip": Key(
        default=0.0,
        help="Share of the labels real and fake that are exchanged for the "
        "discriminator.",
        type=float,
        least=0,
        most=1,
    ),
    "top_k": Key(
        default="",
        help="With top_k(share=0.5) the generator learns from its best samples alone.",
        type=Part,
        optional=True,
    ),
}
# What each network of the game has beside the options of its class.
PLAYER = {
    "network": Key(
        default="dcgan",
        help="Architecture: a file of gans/networks. The other keys are its options.",
        type=str,
    ),
    "penalties": Key(
        default=(),
        help="Terms added to its loss, such as r1(weight=10, every=16).",
        type=Parts,
    ),
    "optimizer": Key(
        default={},
        help="Optimiser, adam or sgd(learning_rate=0.1); its options are keys, too.",
        type=Part,
    ),
}
# What `presets.ablation` makes, beside `base`, `arms` and `order`.
ABLATION = {
    "baseline": Key(
        default="", help="The arm that the others are compared with.", type=str
    ),
    "seeds": Key(
        default=5,
        help="Runs of each arm, with the seeds 0, 1, ...",
        type=int,
        least=1,
        most=10_000,
    ),
    "steps": Key(
        default=0,
        help="Batches in each run; 0: those of base.steps, or of the arm.",
        type=int,
        least=0,
        most=2**31 - 1,
    ),
    "images": Key(
        default=0,
        help="Length of each run in real images, instead of steps; 0: by steps.",
        type=int,
        least=0,
        most=2**53,
    ),
    "evaluations": Key(
        default=5,
        help="Evaluations of base.metrics in each run, evenly spaced.",
        type=int,
        least=1,
        most=2**31 - 1,
    ),
    "replicas_per_program": Key(
        default=64,
        help="The largest number of runs that are trained at once.",
        type=int,
        least=1,
        most=2**20,
    ),
}


def defaults(table: Mapping[str, Key]) -> dict[str, Any]:
    """Returns {name: default}; of optional keys, a placeholder of their type."""
    return {
        name: config_dict.placeholder(key.type) if key.default is None else key.default
        for name, key in table.items()
    }
