"""What a service is told not to make: classes, and texts with certain words."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable


class Refused(Exception):
    """A request asks for what the service does not make."""


class Refusals:
    """A list of classes and phrases that are not served.

    A class is refused if its name or number is in the list. A text is refused if a
    phrase of the list is in it, as whole words. Case, accents' encodings, spaces and
    punctuation make no difference; other spellings do, so that such a list is a fence
    and no wall.

    phrases: those of the list.
    """

    def __init__(self, phrases: Iterable[str] = ()):
        self.phrases = frozenset(filter(None, map(_plain, phrases)))

    @classmethod
    def read(cls, path: str | os.PathLike) -> Refusals:
        """Returns the list of a file: a phrase a line; `#` begins a comment.

        Raises OSError if it cannot be read, ValueError if it is no text or is empty.
        """
        try:
            with open(path, encoding="utf-8") as file:
                found = cls(line.partition("#")[0] for line in file)
        except UnicodeDecodeError:
            raise ValueError(f"--refuse={path}: this file is no UTF-8 text") from None
        if not found.phrases:
            raise ValueError(f"--refuse={path}: this file lists nothing")
        return found

    def check_class(self, *names: str | int) -> None:
        """Raises Refused if a class, given by its name and its number, is listed."""
        if self.phrases & {_plain(str(name)) for name in names}:
            raise Refused(f"class {names[0]!r} is not served here")

    def check_text(self, text: str) -> None:
        """Raises Refused if a phrase of the list is in a text."""
        words = f" {_plain(text)} "
        if any(f" {phrase} " in words for phrase in self.phrases):
            raise Refused("a text with these words is not served here")


def _plain(text):
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", folded))
