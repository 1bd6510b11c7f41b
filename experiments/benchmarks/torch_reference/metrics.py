"""Reference implementations of metrics (extra `reference`), run as their commands do.

Several import torchvision for parts that are not used here, and it has no CPU build on
some platforms: where it is not installed, empty modules take its place.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import os
import sys
import types
from collections.abc import Callable, Mapping
from importlib import util
from typing import Any
from unittest import mock

import numpy as np

from experiments.benchmarks import workload
from experiments.benchmarks.timing import Runner

BATCH = "batch"
# By extractor: the number of features, and of classes.
WIDTHS = {"inception": (2048, 1008), "classifier": (64, 10)}
# The modules that each needs.
NEEDS = {
    "torch-fidelity": ("torch_fidelity", "torch"),
    "pytorch-fid": ("pytorch_fid", "torch"),
    "prdc": ("prdc",),
}
N_SUBSETS, SUBSET = 100, 1000  # of the kernel distance
TORCHVISION = (
    "torchvision",
    "torchvision.datasets",
    "torchvision.models",
    "torchvision.models.inception",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "torchvision.utils",
)


def missing() -> list[str]:
    """Returns the reference implementations that cannot be imported."""
    return [
        library
        for library, modules in NEEDS.items()
        if any(util.find_spec(module) is None for module in modules)
    ]


def torchvision_is_missing() -> bool:
    """Returns whether torchvision is not installed."""
    return util.find_spec("torchvision") is None


def load(name: str, layers: Mapping[str, type] | None = None) -> types.ModuleType:
    """Returns a module of a reference implementation.

    layers: the contents of torchvision.models.inception, if that is missing.

    Raises ImportError as `import` does.
    """
    stubs = {}
    if torchvision_is_missing():
        stubs = {stub: _Empty(stub) for stub in TORCHVISION}
        vars(stubs["torchvision.models.inception"]).update(layers or {})
        for stub, module in stubs.items():
            parent, _, child = stub.rpartition(".")
            if parent:
                setattr(stubs[parent], child, module)
    sys.modules.update(stubs)
    try:
        return importlib.import_module(name)
    finally:
        for stub in stubs:
            del sys.modules[stub]


class _Empty(types.ModuleType):
    """A module in which every name is an empty class."""

    __version__ = "0.20"

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


def _torch():
    import torch  # optional

    torch.set_num_threads(os.cpu_count())
    return torch


def extractor_runner(library: str, batch_size: int, channels_last: bool) -> Runner:
    """Inception of a reference implementation, in this process."""
    extract = inception(library, channels_last=channels_last)
    images = workload.images(batch_size)

    def run():
        return extract(images)

    run()
    details = {}
    if library == "pytorch-fid" and torchvision_is_missing():
        note = "pytorch-fid: with torch-fidelity's layers instead of torchvision's"
        details = {"note": note}
    return Runner({BATCH: run}, details)


def score_runner(library: str, name: str, n: int, features: str) -> Runner:
    """A score of a reference implementation, in this process."""
    sides = workload.features(n, *WIDTHS[features])
    return Runner({name: score(library, name, *sides)})


def inception(library: str, *, channels_last: bool) -> Callable[[Any], Any]:
    """Returns a function of images, uint8 [B, H, W, 3] -> features [B, 2048] of numpy.

    It is the network of "torch-fidelity" or "pytorch-fid", resize and scale included,
    with random weights of He's scale, on the GPU if there is one. channels_last: the
    memory format of weights and images.

    pytorch-fid's needs layers of torchvision; where that is missing, torch-fidelity's,
    which have the same names and parameters, replace those it does not override.
    """
    torch = _torch()
    network = {"torch-fidelity": _fidelity_network, "pytorch-fid": _fid_network}[
        library
    ]()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    layout = torch.channels_last if channels_last else torch.contiguous_format
    network = network.eval().to(device).to(memory_format=layout)
    return functools.partial(_features, network, library, device, layout)


def _features(network, library, device, layout, images):
    torch = _torch()
    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=layout)
    x = x.to(device)
    if library == "pytorch-fid":
        x = x.float() / 255
    with torch.no_grad():
        return network(x)[0].flatten(1).cpu().numpy()


def _fidelity_network():
    module = load("torch_fidelity.feature_extractor_inceptionv3")
    with _without_weights(module):
        # The features of FID and of the Inception score.
        return module.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"]
        )


def _fid_network():
    layers, whole = {}, None
    if torchvision_is_missing():
        others = load("torch_fidelity.feature_extractor_inceptionv3")
        kinds = "BasicConv2d InceptionA InceptionB InceptionC InceptionD".split()
        layers = {kind: getattr(others, kind) for kind in kinds}
        layers["InceptionE"] = others.InceptionE_1
        whole = _fidelity_network()
    module = load("pytorch_fid.inception", layers)
    if whole is not None:
        module.torchvision.models.inception_v3 = lambda **_: whole
    with _without_weights(module):
        return module.InceptionV3([module.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])


@contextlib.contextmanager
def _without_weights(module):
    """Networks made within keep PyTorch's first weights: there is nothing to load."""
    from torch import nn  # optional

    with (
        mock.patch.object(module, "load_state_dict_from_url"),
        mock.patch.object(nn.Module, "load_state_dict"),
    ):
        yield


def score(library: str, name: str, real, fake, logits) -> Callable[[], Any]:
    """Returns a function that computes a score of SCORES[library].

    real, fake: features [N, D] and [M, D]; logits [M, K] of `fake`; arrays of numpy.
    What the library prints is not shown.
    """
    compute = SCORES[library][name](real, fake, logits)

    def quiet():
        with contextlib.redirect_stdout(io.StringIO()):
            return compute()

    return quiet


# Each of these imports what it needs and returns a function without arguments, whose
# value is that of the score of the same name in `experiments.benchmarks.metrics`.


def _fidelity_fid(real, fake, logits):
    x, y = map(_torch().from_numpy, (fake, real))
    fid = load("torch_fidelity.metric_fid")

    def compute():
        moments = map(fid.fid_features_to_statistics, (x, y))
        return fid.fid_statistics_to_metric(*moments, False)[fid.KEY_METRIC_FID]

    return compute


def _fidelity_kid(real, fake, logits):
    x, y = map(_torch().from_numpy, (fake, real))
    kid = load("torch_fidelity.metric_kid")
    settings = {
        "kid_subsets": N_SUBSETS,
        "kid_subset_size": min(SUBSET, len(x), len(y)),
        "rng_seed": 0,
        "verbose": False,
    }
    return lambda: kid.kid_features_to_metric(x, y, **settings)[kid.KEY_METRIC_KID_MEAN]


def _fidelity_is(real, fake, logits):
    x = _torch().from_numpy(logits)
    isc = load("torch_fidelity.metric_isc")
    return lambda: isc.isc_features_to_metric(x, rng_seed=0)[isc.KEY_METRIC_ISC_MEAN]


def _fidelity_pr(real, fake, logits):
    x, y = map(_torch().from_numpy, (fake, real))
    prc = load("torch_fidelity.metric_prc")

    def compute():
        found = prc.prc_features_to_metric(x, y, verbose=False)
        return found[prc.KEY_METRIC_PRECISION], found[prc.KEY_METRIC_RECALL]

    return compute


def _fid(real, fake, logits):
    distance = load("pytorch_fid.fid_score").calculate_frechet_distance

    def compute():
        of_fake, of_real = (
            (np.mean(x, axis=0), np.cov(x, rowvar=False)) for x in (fake, real)
        )
        return distance(*of_fake, *of_real)

    return compute


def _prdc(real, fake, logits):
    compute_prdc = load("prdc").compute_prdc

    def compute():
        found = compute_prdc(real, fake, nearest_k=5)
        return tuple(found[x] for x in ("precision", "recall", "density", "coverage"))

    return compute


SCORES = {
    "torch-fidelity": {
        "fid": _fidelity_fid,
        "kid": _fidelity_kid,
        "is": _fidelity_is,
        "pr": _fidelity_pr,
    },
    "pytorch-fid": {"fid": _fid},
    "prdc": {"prdc": _prdc},
}
