"""Pre-trained weights: a file that was named, or one kept from a download."""

from __future__ import annotations

import dataclasses
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from experiments import process
from experiments.files import replacing


@dataclasses.dataclass(frozen=True)
class Weights:
    """A file of weights.

    Attributes:
      name: of the network.
      flag, variable: that name the file, the flag first.
      what: the file, in words.
      sha256: how the checksum of the genuine file begins.
      url: where to get it; None: the user has to.
      file: what a copy that the user keeps is called; by default as at `url`.
    """

    name: str
    flag: str
    variable: str
    what: str
    sha256: str = ""
    url: str | None = None
    file: str = ""

    @property
    def kept(self) -> Path:
        """Where a download is kept, or a copy may be put."""
        file = self.file or (self.url or self.name).rpartition("/")[2]
        return process.cache_folder() / "weights" / file


INCEPTION = Weights(
    "inception",
    flag="--inception-weights",
    variable="GANS_INCEPTION",
    what="pt_inception-2015-12-05-6726825d.pth of pytorch-fid, 91 MB",
    sha256="6726825d",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
)
SQUEEZENET = Weights(
    "squeezenet",
    flag="--squeezenet-weights",
    variable="GANS_SQUEEZENET",
    what="an .npz of SqueezeNet v1.1's arrays, see gans/metrics/features/squeezenet.py",
)


def at_hand(weights: Weights, named: str | os.PathLike | None = None) -> bool:
    """Says whether `find` would use a file of the user's, or one kept before."""
    if named or os.environ.get(weights.variable):
        return True
    try:
        return weights.kept.is_file()
    except OSError:  # of a folder that cannot be read
        return False


def find(weights: Weights, named: str | os.PathLike | None = None) -> Path:
    """Returns the path of the file: `named`, or the variable's, or the one kept.

    Where there is none it is downloaded, with a progress bar, and kept once its
    checksum is right. Raises FileNotFoundError, saying what to do.
    """
    for place, value in (
        (weights.flag, named),
        (f"${weights.variable}", os.environ.get(weights.variable)),
    ):
        if value:
            path = Path(value).expanduser()
            if not path.is_file():
                raise FileNotFoundError(
                    f"{place}={value}: no such file; wanted {weights.what}"
                )
            return path
    if not at_hand(weights):
        problem = _download(weights) if weights.url else "were not named"
        if problem:
            raise FileNotFoundError(
                f"the weights of {weights.name} {problem}. Wanted: {weights.what}. "
                f"Name a copy by {weights.flag}=PATH or ${weights.variable}, or put it "
                f"at {weights.kept}. Of the extractors, `random` needs no file and no "
                "labels, `classifier` needs labels only"
            )
    return weights.kept


def checksum(path: Path) -> str:
    """Returns the file's sha256, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(weights: Weights) -> str | None:
    """Fetches the file; returns what went wrong, if anything did."""
    try:
        weights.kept.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(weights.url, timeout=10) as answer,
            replacing(weights.kept) as temporary,
        ):
            size = int(answer.headers.get("Content-Length") or 0) or None
            came = 0
            with (
                tqdm(
                    total=size,
                    unit="B",
                    unit_scale=True,
                    desc=weights.kept.name,
                    disable=None,
                ) as bar,
                open(temporary, "wb") as file,
            ):
                while chunk := answer.read(1 << 20):
                    file.write(chunk)
                    came += len(chunk)
                    bar.update(len(chunk))
            if size is not None and came != size:
                raise ValueError(f"the connection broke after {came} of {size} bytes")
            found = checksum(Path(temporary))
            if not found.startswith(weights.sha256):
                raise ValueError(f"sha256 {found}, not {weights.sha256}...")
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        return f"could not be downloaded from {weights.url} ({reason})"
    return None
