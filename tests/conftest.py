"""Settings of the test process, small versions of the real configs, and
reference implementations."""

import functools
import gc
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import signal
import sys
import threading
import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

# Tests compile many small programs, some of them in several processes: share them, and
# leave LLVM's most expensive passes and XLA's emitters of fusions to runs. Without
# these, what WGAN-GP's step takes to compile falls from 6.7 s of processor time to 3.6,
# and at level 0 from 4.0 to 1.5. XLA aborts at a flag that it does not know.
QUICK = ["--xla_backend_optimization_level=1"]
if importlib.metadata.version("jaxlib").startswith("0.10."):
    QUICK.append("--xla_cpu_use_fusion_emitters=false")
given = os.environ.get("XLA_FLAGS", "")
quick = [flag for flag in QUICK if flag.partition("=")[0] not in given]
os.environ["XLA_FLAGS"] = " ".join([given, *quick]).strip()
CACHE = pathlib.Path(__file__).parent.parent / "build" / "jax-cache"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
# Small programs, too: there are thousands of them.
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

# Signals that are ignored here (under nohup, in a background job) would be ignored by
# the processes that tests start, too. Those with a handler are not.
if threading.current_thread() is threading.main_thread():
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)

# Tracing makes many small objects; looking for cycles among them at the default rate
# takes a tenth of its time or more.
gc.set_threshold(20_000, 20, 20)

TORCHVISION = (
    "torchvision",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.models.inception",
    "torchvision.utils",
)


def pytest_addoption(parser):
    parser.addoption(
        "--all-pairs", action="store_true", help="each variant with each stabiliser"
    )
    parser.addoption(
        "--fuzz-seconds", type=float, help="how long requests are made up at random"
    )


def _tiny(variant, preset=None, **changes):
    from experiments import config as configs
    from experiments.benchmarks import workload
    from gans.data.spec import Field

    module = importlib.import_module(f"configs.{variant}")
    config = module.get_config(preset) if preset else module.get_config()
    for role in configs.players(config.to_dict()):
        player = config[role]
        for option in ("widths", "frame_widths"):
            if option in player:
                player[option] = (8,) * len(player[option])
        if "convolutions" in player:
            player.convolutions = tuple(
                (8, size, stride) for _, size, stride in player.convolutions
            )
        sizes = {"width": 4, "blocks": 1, "channel_max": 4, "w_dim": 6, "depth": 3}
        for option, least in sizes.items():
            if option in player:
                player[option] = least
        if "channel_max" in player:  # networks that deepen with the resolution
            config.resolution = 8
    config.batch_size = 4
    if "latent" in config:
        config.latent = 5
    if "warmup" in config:
        config.warmup = 0
    if "encoder_steps" in config:  # its encoder learns in the first step alone
        config.encoder_steps = 1
    if not configs.is_game(config.to_dict()):
        config.resolution = 32
        fields = workload.source(config).spec
    elif config.data.partition(":")[0] in (*workload.CLIPS, *workload.VOLUMES):
        config.resolution, config.n_classes = 8, 3
        fields = workload.source(config).spec
    elif config.resolution is None:
        fields = {"point": Field("point", (2,), "float32")}
    else:
        config.n_classes = 3
        side = (config.resolution, config.resolution, config.channels)
        fields = {"image": Field("image", side, "uint8")}
    if "first_resolution" in config:  # of one stage, if `changes` do not say otherwise
        config.first_resolution = config.resolution
        config.fade_kimg = config.stable_kimg = 0.01
    with config.unlocked(), config.ignore_type():
        config.update(changes)
    shape = next(iter(fields.values())).shape
    if config.n_classes and "label" not in fields:
        fields["label"] = Field("label", (), "int32", config.n_classes)
    source = types.SimpleNamespace(spec=fields, shape=shape, n_classes=config.n_classes)
    return configs.resolve(config, source)


@pytest.fixture(scope="session")
def tiny():
    """tiny(variant, preset, **changes) -> its config, resolved, with 8 channels."""
    return _tiny


@pytest.fixture(scope="session")
def system():
    """system("cycle") -> that module of tests/systems."""
    sys.path.append(str(pathlib.Path(__file__).parent))
    return lambda name: importlib.import_module(f"systems.{name}")


@pytest.fixture(scope="session")
def untrained(system):
    """untrained("cycle", folder) -> the folder, as the workdir of that system.

    Its checkpoints, of steps 3 and 7, are first states of two seeds. `on` names data
    other than the system's own.
    """

    def make(name, folder, on=None):
        from experiments import config as configs
        from experiments.rundir.checkpoint import Checkpoints
        from gans import core

        module = system(name)
        config = module.get_config()
        config.data = on or config.data
        source = configs.load_data(config) if on else module.source()
        config = configs.resolve(config, source)
        (folder / "config.json").write_text(configs.to_json(config))
        init = jax.jit(functools.partial(core.init, configs.build(config)))
        checkpoints = Checkpoints(folder, keep=None)
        for step in (3, 7):
            state = init(jax.random.key(step)).replace(step=jnp.int32(step))
            checkpoints.save(step, state, {})
        checkpoints.close()
        return folder

    return make


@pytest.fixture(scope="session")
def reference():
    """reference("torch_fidelity.metric_fid") -> that module; skips where it is missing.

    These are published implementations that ours are compared with (extra
    `reference`). Several import torchvision for parts that are not used here, and it
    has no CPU build on some platforms: empty modules take its place.
    """
    missing = importlib.util.find_spec("torchvision") is None
    stubs = {name: mock.MagicMock() for name in TORCHVISION if missing}

    def load(name):
        sys.modules.update(stubs)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            pytest.skip(f"{error.name} is not installed (extra reference)")
        finally:
            for stub in stubs:
                del sys.modules[stub]

    return load


STYLE = pathlib.Path(__file__).parents[1] / "../shared/reference/parity/style"


@pytest.fixture(scope="session")
def style_reference():
    """style_reference("ops_mbstd") -> (what its hyper says, {name: array}).

    Numbers of the authors' code of the StyleGAN family, channels first; skips without.
    """

    def load(name):
        path = STYLE / f"{name}.npz"
        if not path.exists():
            pytest.skip(f"{path.name} is not in ../shared/reference/parity/style")
        with np.load(path) as file:
            arrays = {k: file[k] for k in file.files}
        return json.loads(str(arrays.pop("hyper"))), arrays

    return load
