"""Signed manifests in pictures, as C2PA has them (extra `c2pa`)."""

from __future__ import annotations

import importlib.util
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments import origin
from experiments.files import replacing

_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_MIME = {".png": "image/png", ".webp": "image/webp", ".gif": "image/gif"}
_MIME |= {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".mp4": "video/mp4"}
# Thumbnails would make three kilobytes into 188; nothing is fetched.
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


class Signer:
    """Signs pictures with a certificate.

    Args:
      certificate: PEM, the signer's first, then those that vouch for it; it must be
        for signing (key usage digitalSignature, an extended usage such as
        emailProtection), of an elliptic curve P-256.
      key: PEM, its private key.
      tsa: URL of a time-stamping authority; None: no time stamp, nothing is asked.

    Raises ModuleNotFoundError without c2pa-python.
    """

    def __init__(
        self, certificate: str | os.PathLike, key: str | os.PathLike, tsa: str | None
    ):
        import c2pa

        self._c2pa, self._tsa = c2pa, tsa
        self._certificate = Path(certificate).read_bytes()
        self._key = Path(key).read_bytes()

    def sign(self, path: str | os.PathLike, known: Mapping[str, str]) -> None:
        """Adds a manifest to a file: what is `known` of its origin, as it is there.

        Raises ValueError if it cannot be signed.
        """
        c2pa, path = self._c2pa, Path(path)
        action = {"action": "c2pa.created", "softwareAgent": {"name": origin.SOFTWARE}}
        action["digitalSourceType"] = _TYPES + known["source"]
        own = {"label": "urn.jax-gans.origin", "data": dict(known)}
        manifest = {
            "claim_generator_info": [{"name": origin.SOFTWARE}],
            "assertions": [
                {"label": "c2pa.actions", "data": {"actions": [action]}},
                own,
            ],
        }
        made = io.BytesIO()
        try:
            info = c2pa.C2paSignerInfo(
                c2pa.C2paSigningAlg.ES256, self._certificate, self._key, self._tsa
            )
            context = c2pa.Context.from_dict(_SETTINGS)
            with c2pa.Signer.from_info(info) as signer:
                builder = c2pa.Builder(json.dumps(manifest), context)
                with io.BytesIO(path.read_bytes()) as source:
                    builder.sign(signer, _MIME[path.suffix.lower()], source, made)
        except c2pa.C2paError as error:
            raise ValueError(f"{path}: cannot be signed: {error}") from None
        with replacing(path) as temporary:
            Path(temporary).write_bytes(made.getvalue())


def is_there(path: str | os.PathLike) -> bool:
    """Whether a file seems to have a manifest."""
    content = Path(path).read_bytes()
    return b"jumb" in content and b"c2pa" in content


def read(path: str | os.PathLike) -> dict[str, Any] | None:
    """Returns {"state", "issuer"} of a file's manifest; {} without one.

    The state is "Valid" where nothing was changed since the signing, "Trusted" where
    the signer is known as well, else "Invalid". None: there is one, or not; without
    c2pa-python it cannot be read.
    """
    if importlib.util.find_spec("c2pa") is None:
        return None
    if not is_there(path):
        return {}
    import c2pa

    kind = _MIME.get(Path(path).suffix.lower(), "image/png")
    try:
        context = c2pa.Context.from_dict(_SETTINGS)
        with open(path, "rb") as file:
            with c2pa.Reader(kind, file, context=context) as reader:
                state = reader.get_validation_state()
                active = reader.get_active_manifest() or {}
    except c2pa.C2paError as error:
        return {"state": f"not readable ({error})", "issuer": None}
    return {
        "state": state,
        "issuer": active.get("signature_info", {}).get("issuer"),
    }
