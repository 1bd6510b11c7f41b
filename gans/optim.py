"""Optimisers by name, and the optax links that GANs need."""

import inspect
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from gans import names
from gans.names import check

NAMES = ("adam", "adamw", "rmsprop", "sgd", "lion", "adabelief")
SCHEDULES = ("constant", "linear", "cosine", "half_linear")
DECAYS = ("b1", "b2", "decay")  # of running averages, per update
# Those of `make`, for all optimisers.
OPTIONS = ("learning_rate", "schedule", "warmup", "drops", "drop")
OPTIONS += ("clip", "clip_singular")
DTYPES = ("float32", "bfloat16", "float16")  # of what an optimiser remembers


def make(
    name: str,
    *,
    learning_rate: float,
    n_updates: int,
    schedule: str = "constant",
    warmup: int = 0,
    drops: tuple[int, ...] = (),
    drop: float = 0.5,
    clip: float | None = None,
    clip_singular: float | None = None,
    lazy: tuple[int, ...] = (),
    equalised: bool = False,
    **options,
) -> optax.GradientTransformation:
    """Returns an optimiser of optax.

    Args:
      name: one of `NAMES`, or the path of a function of a learning rate and options,
        as those of optax are: "optax.nadam" (see `gans.names`).
      learning_rate: its highest value.
      n_updates: how often the network is updated; `schedule` ends there.
      schedule: "constant", or to 0 by "linear", "cosine" or "half_linear", which is
        constant for the first half of the updates and linear for the second.
      warmup: updates over which the learning rate rises linearly from 0.
      drops: after so many updates each, the learning rate is multiplied by `drop`.
      drop: that factor.
      clip: weights stay in [-clip, clip] after each update (see `clip_weights`).
      clip_singular: singular values stay below it (see `clip_singular_values`).
      lazy: intervals of the network's lazy terms. It makes their updates too, so its
        time constants are set to be those of one update per step (StyleGAN2, arXiv
        1912.04958, appendix B): with c = 1 / (1 + sum 1 / interval), the rate is c lr,
        the decays b1, b2 and decay are to the power c. SGD, whose updates are as large
        as the gradients, keeps its rate and momentum.
      equalised: the network's kernels are stored at another size than they are used at
        (arXiv 1710.10196), so limits of their size are rejected.
      **options: passed to optax (b1, b2, decay, momentum, weight_decay ...), whose
        defaults hold but for one: RMSprop adds eps to the root, as the authors of WGAN
        had it, not under it, where 1e-8 slows down all gradients below 1e-4.

    Raises ValueError for an unknown name, schedule or option, for a rate, a decay or a
    limit out of range, and for a limit of equalised kernels.
    """
    factory = names.pick(name, {x: getattr(optax, x) for x in NAMES}, "optimiser")
    names.wanted(factory, Callable, "optimiser", name, "a function")
    check(schedule, SCHEDULES, "optimiser: schedule")
    known = inspect.signature(factory).parameters
    names.options({*known, *OPTIONS}, options, f"optimiser {name}")
    _check(known, options)
    names.typed({"warmup": int}, {"warmup": warmup}, "optimiser")
    names.number(drop, lambda x: x >= 0, "optimiser: drop", "of at least 0")
    if [*drops] != sorted({int(n) for n in drops if n > 0}):
        raise ValueError(
            f"optimiser: drops={tuple(drops)} must be numbers of updates, whole and "
            "rising from above 0"
        )
    if name == "rmsprop":
        options = {"eps_in_sqrt": False} | options
    for key, value in (("learning_rate", learning_rate), ("warmup", warmup)):
        names.number(value, lambda x: x >= 0, f"optimiser: {key}", "of at least 0")
    for key, value in (("clip", clip), ("clip_singular", clip_singular)):
        if value is not None:
            names.number(
                value, lambda x: x > 0, f"optimiser: {key}", "above 0, or None"
            )
            if equalised:
                raise ValueError(
                    f"optimiser: {key} limits the size of the kernels in use, but "
                    "equalised kernels are stored at another size, about 1"
                )
    for key in set(DECAYS) & set(options):
        names.number(
            options[key], lambda x: (0 <= x) & (x < 1), f"optimiser: {key}", "in [0, 1)"
        )
    per_step = 1 + sum(1 / interval for interval in lazy)
    if lazy:
        n_updates, warmup = (round(per_step * n) for n in (n_updates, warmup))
        drops = [round(per_step * n) for n in drops]
    if lazy and name != "sgd":
        learning_rate /= per_step
        given = {x: known[x].default for x in DECAYS if x in known} | options
        slower = {
            x: given[x] ** (1 / per_step) for x in DECAYS if given.get(x) is not None
        }
        options = options | slower
    n = max(n_updates - warmup, 1)
    rate = {
        "constant": optax.constant_schedule(learning_rate),
        "linear": optax.linear_schedule(learning_rate, 0.0, n),
        "cosine": optax.cosine_decay_schedule(learning_rate, n),
        "half_linear": optax.linear_schedule(learning_rate, 0.0, n - n // 2, n // 2),
    }[schedule]
    if warmup:
        rise = optax.linear_schedule(0.0, learning_rate, warmup)
        rate = optax.join_schedules([rise, rate], [warmup])
    if drops:
        rate = _dropping(rate, tuple(drops), drop)
    links = [factory(rate, **options)]
    if clip is not None:
        links.append(clip_weights(clip))
    if clip_singular is not None:
        links.append(clip_singular_values(clip_singular))
    return links[0] if len(links) == 1 else optax.chain(*links)


def _dropping(rate, drops, drop):
    return lambda n: rate(n) * drop ** sum(jnp.asarray(n) >= at for at in drops)


def _check(known, options):
    """Raises ValueError for an option of optax that is not like its default."""
    for key, value in options.items():
        default, place = known[key].default, f"optimiser: {key}"
        if value is None and default is None:
            continue
        if isinstance(default, bool):
            names.typed({key: bool}, {key: value}, "optimiser")
        elif isinstance(default, float) or key == "momentum":
            names.number(value, lambda x: x >= 0, place, "of at least 0")
        elif key.endswith("_dtype"):
            names.check(value, DTYPES, place)
        elif key == "mask":
            names.wanted(value, Callable, "optimiser: mask", value, "a function")


def clip_weights(limit: float) -> optax.GradientTransformation:
    """Last link of a chain: parameters end in [-limit, limit].

    WGAN's Lipschitz constraint (arXiv 1701.07875, Algorithm 1, line 7).
    """

    def update(updates, params):
        return jax.tree.map(
            lambda u, p: jnp.clip(p + u, -limit, limit) - p, updates, params
        )

    return optax.stateless(update)


def clip_singular_values(limit: float) -> optax.GradientTransformation:
    """Last link of a chain: singular values of each kernel end at most `limit`.

    It limits all arrays of two axes and more, in every update; TGAN's own constraint is
    of convolutions alone, in each fifth update, and stands with its variant.
    """

    def clip(u, p):
        return u if p.ndim < 2 else limit_singular_values(p + u, limit) - p

    return optax.stateless(lambda updates, params: jax.tree.map(clip, updates, params))


def limit_singular_values(kernel: jax.Array, limit: float) -> jax.Array:
    """Returns a kernel [..., I, O] whose singular values are at most `limit`.

    They are those of the matrix [... I, O] (arXiv 1611.06624, section 3.3).
    """
    return _limited(kernel.reshape(-1, kernel.shape[-1]), limit).reshape(kernel.shape)


# One matrix after another: on several CPU devices, jaxlib's batched decompositions wait
# for each other's threads, for ever.
@jax.custom_batching.sequential_vmap
def _limited(w, limit):
    left, s, right = jnp.linalg.svd(w, full_matrices=False)
    return (left * jnp.minimum(s, limit)) @ right
