"""What a client may ask for, checked strictly: "3" and true are no numbers."""

from __future__ import annotations

import dataclasses
import urllib.parse
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gans.names import nearest

PICTURES = ("png", "webp", "jpeg")
Format = Literal["png", "webp", "jpeg", "npz", "json"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Class = Annotated[int, Field(ge=0)] | Annotated[str, Field(max_length=200)]
Seeds = Annotated[list[Seed], Field(min_length=1)]
Classes = Annotated[list[Class], Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]

_SEED = "a whole number from 0 to 4294967295, or several, as [0, 1]"
_FORMAT = "png, webp, jpeg, npz or json"


class Invalid(Exception):
    """A request that cannot be answered, in one line; `status` is that of HTTP."""

    def __init__(self, said: str, status: int = 422):
        super().__init__(said)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a request may cost at most.

    Attributes:
      n: samples of a request.
      queue: samples that wait, of all requests.
      body: bytes of JSON.
      upload: bytes of a picture's file.
      pixels: of a picture.
      seconds: for a whole request.
      body_seconds: for a client to send its body.
      requests: that are worked on at the same time.
    """

    n: int = 64
    queue: int = 256
    body: int = 2**20
    upload: int = 2**24
    pixels: int = 2**22
    seconds: float = 30.0
    body_seconds: float = 10.0
    requests: int = 512


class Asked(BaseModel):
    """Samples to be made. What is left out is as the model chooses it."""

    model_config = ConfigDict(strict=True, extra="forbid")

    n: int | None = Field(
        None, ge=1, description="a whole number of samples of each seed, from 1 on"
    )
    seed: Seed | Seeds = Field(0, description=_SEED)
    label: Class | Classes | None = Field(
        None,
        alias="class",
        description="a class by its name or number, or several, which take turns",
    )
    truncation: Number | None = Field(
        None, description="a number, often from 0 to 1, of a model with truncation"
    )
    latents: list[list[Number]] | None = Field(
        None, description="a list of latents, each a list of finite numbers"
    )
    given: dict[str, list] | None = Field(
        None, description="the examples of an output that is made of them, by field"
    )
    text: str | None = Field(
        None, max_length=1000, description="a text of at most 1000 characters"
    )
    format: Format | None = Field(None, description=_FORMAT)

    @property
    def seeds(self) -> list[int]:
        """The seeds."""
        return self.seed if isinstance(self.seed, list) else [self.seed]

    @property
    def labels(self) -> list[int | str]:
        """The classes that are asked for; [] for none."""
        if self.label is None:
            return []
        return self.label if isinstance(self.label, list) else [self.label]


class Upload(BaseModel):
    """What may stand in the URL of a picture that is uploaded."""

    model_config = ConfigDict(extra="forbid")

    seed: Seed = Field(0, description="a whole number from 0 to 4294967295")
    format: Format | None = Field(None, description=_FORMAT)


def read(body: bytes) -> Asked:
    """Returns what a JSON body asks for. Raises Invalid, in one line."""
    try:
        return Asked.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise _invalid(Asked, error) from None


def read_query(query: bytes) -> Upload:
    """Returns what a URL says of an upload. Raises Invalid, in one line."""
    try:
        pairs = urllib.parse.parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=16
        )
        return Upload.model_validate(dict(pairs))
    except ValidationError as error:
        raise _invalid(Upload, error) from None
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the URL's query cannot be read", 400) from None


def _invalid(model, error: ValidationError) -> Invalid:
    """The first fault, with the place, the value and what is accepted."""
    first = error.errors(include_url=False, include_context=True)[0]
    if first["type"] == "json_invalid":
        why = first.get("ctx", {}).get("error", "")
        return Invalid(f"the body is not JSON: {_short(why)}", 400)
    fields = {x.alias or name: x for name, x in model.model_fields.items()}
    if not first["loc"]:
        return Invalid("the body is not a JSON object, as {}")
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        near = nearest(name, fields)
        known = ", ".join(fields)
        return Invalid(f"{_short(repr(name))} is not known; accepted are {known}{near}")
    wanted = fields[name].description
    return Invalid(f"{name}: got {_short(repr(first['input']))}; wanted {wanted}")


def _short(text: str, most: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def check_total(asked: Asked, limits: Limits) -> int:
    """Returns how many samples are asked for. Raises Invalid beyond the limit."""
    if asked.latents is not None:
        n = len(asked.latents)
        if asked.n not in (None, n):
            raise Invalid(f"n: got {asked.n}, and {n} latents; leave n out")
        if len(asked.seeds) > 1:
            raise Invalid("seed: latents take one seed, of what the output draws")
    elif asked.given is not None:
        n = max((len(x) for x in asked.given.values()), default=0)
    else:
        n = 1 if asked.n is None else asked.n
    total = n * len(asked.seeds)
    if not 1 <= total <= limits.n:
        total = _short(str(total), 20)
        raise Invalid(f"n: {total} samples are asked for; accepted are 1 to {limits.n}")
    return total


def described(limits: Limits) -> dict[str, Any]:
    """Returns the limits that a client should know, as JSON."""
    return {
        "samples": limits.n,
        "body_bytes": limits.body,
        "picture_bytes": limits.upload,
        "picture_pixels": limits.pixels,
        "seconds": limits.seconds,
    }
