"""Says where files of pictures come from, and signs them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from experiments import origin
from experiments.origin import c2pa, files

SUFFIXES = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".mp4")


def found(paths: Iterable[str]) -> Iterator[Path]:
    """Yields the files, and those of pictures in folders.

    Raises FileNotFoundError for what is neither, and for a folder without pictures.
    """
    for text in paths:
        path = Path(text)
        if not path.is_dir():
            if not path.is_file():
                raise FileNotFoundError(f"{path}: no such file")
            yield path
            continue
        inside = sorted(x for x in path.rglob("*") if x.suffix.lower() in SUFFIXES)
        if not inside:
            raise FileNotFoundError(f"{path}: no pictures in this folder")
        yield from inside


def show(paths: Iterable[str], as_json: bool = False) -> int:
    """Prints what each file says; returns 1 if one of them says nothing, else 0."""
    silent = False
    for path in found(paths):
        known, signed = files.read(path), c2pa.read(path)
        silent |= not known and not signed
        if as_json:
            said = {"file": str(path), **known}
            print(json.dumps(said | ({"c2pa": signed} if signed else {})))
            continue
        print(f"{path}: {_said(known)}")
        for name, text in known.items():
            if name != "source":
                print(f"  {name}: {text}")
        if signed:
            print(
                f"  C2PA: {signed['state']}, signed by {signed['issuer'] or 'nobody'}"
            )
        elif signed is None and c2pa.is_there(path):
            print("  C2PA: a manifest; pip install -e '.[c2pa]' to read it")
    return int(silent)


def _said(known):
    if not known:
        return "says nothing of its origin, which is no sign of a photo"
    if known.get("source") == origin.MADE:
        return "says that it was made by a model"
    if known.get("source") == origin.EDITED:
        return "says that it was made by a model of given pictures, or beside them"
    return "does not say that a model made it"


def sign(
    paths: Iterable[str], certificate: str | None, key: str | None, tsa: str | None
) -> int:
    """Adds signed C2PA manifests to files that say that a model has made them.

    Raises ValueError for other files, and without a certificate and its key.
    """
    if not certificate or not key:
        raise ValueError("--certificate and --key: both are needed to sign")
    signer = c2pa.Signer(certificate, key, tsa)
    every = list(found(paths))
    for path in every:
        known = files.read(path)
        if not files.is_made(known):
            raise ValueError(f"{path}: does not say that a model made it: not signed")
        signer.sign(path, known)
    print(f"signed {len(every)} files", file=sys.stderr)
    return 0
