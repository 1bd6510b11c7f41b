"""Weights of LPIPS, and the extractor that they make."""

from __future__ import annotations

from typing import Any

from experiments.evaluation import pretrained as files
from gans.metrics.features import lpips, pth
from gans.metrics.features.extractor import Extractor

# torchvision's files, whose names end in their checksums, and the LPIPS authors'.
TRUNKS = {
    "vgg": ("vgg16-397923af.pth", "528 MB"),
    "alex": ("alexnet-owt-7be5be79.pth", "233 MB"),
    "squeeze": ("squeezenet1_1-b8a52dc0.pth", "5 MB"),
}
HEADS = {"vgg": "a78928a0", "alex": "df73285e", "squeeze": "4a5350f2"}


def find(net: str, weights: dict[str, str | None]) -> tuple[Any, Any]:
    """Returns (path, `Weights`) of the trunk of a network, and of its heads.

    weights: paths that are given, by "lpips-trunk" and "lpips-heads".

    Raises FileNotFoundError where there are none.
    """
    name, size = TRUNKS[net]
    trunk = files.Weights(
        f"the trunk of lpips_{net}",
        flag="--lpips-trunk-weights",
        variable="GANS_LPIPS_TRUNK",
        what=f"torchvision's {name}, {size}",
        sha256=name.removesuffix(".pth").rpartition("-")[2],
        url=f"https://download.pytorch.org/models/{name}",
    )
    heads = files.Weights(
        f"the heads of lpips_{net}",
        flag="--lpips-heads-weights",
        variable="GANS_LPIPS_HEADS",
        what=f"lpips/weights/v0.1/{net}.pth of richzhang/PerceptualSimilarity",
        sha256=HEADS[net],
        url="https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/"
        f"lpips/weights/v0.1/{net}.pth",
    )
    try:  # the heads are small: they come first
        path = files.find(heads, weights.get("lpips-heads"))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}. lpips_{net} needs {trunk.what}, by {trunk.flag}, too"
        ) from None
    return (files.find(trunk, weights.get("lpips-trunk")), trunk), (path, heads)


def make(net: str, trunk: Any, heads: Any) -> Extractor:
    """Returns the extractor of the files that `find` has found."""
    given = {"trunk": trunk, "heads": heads}
    sha256 = {part: files.checksum(path) for part, (path, _) in given.items()}
    variables = lpips.from_pth(net, *(pth.read(path) for path, _ in given.values()))
    made = lpips.make(net, variables, sha256=sha256)
    name = made.name
    if not all(sha256[p].startswith(wanted.sha256) for p, (_, wanted) in given.items()):
        # Heads on a trunk that is not theirs do not give LPIPS.
        name += f"-{sha256['trunk'][:8]}"
    return Extractor(name, made.apply, made.variables, made.protocol)
