"""Pictures and what is said of them, in the forms in which users have both."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
from collections.abc import Iterator
from typing import Any

from gans.data import reading
from gans.data.sets import expanded
from gans.data.sets.folder import check_found
from gans.data.tree import endings, walk
from gans.names import natural

TABLES = (".csv", ".tsv", ".json", ".jsonl")
# What a table is called that lies in a folder of pictures.
NAMED = ("captions", "metadata")
FILE = ("file", "file_name", "filename", "image", "path")
TEXT = ("caption", "captions", "text", "sentence", "sentences", "description", "name")
TAGS = ("tags", "keywords")  # words that make one sentence
_STRIP = re.compile(r"(.+)_(\d+)")
WANTED = (
    "pictures with a .txt beside each, or a table .csv, .tsv, .json or .jsonl with the "
    "columns file and caption"
)


@dataclasses.dataclass(frozen=True)
class Captioned:
    """A picture and its sentences.

    Attributes:
      path: of its file.
      captions: sentences, at least one.
      split: its split; "": none is said.
      place: which of the squares of a strip it is, from the top; None: the whole file.
    """

    path: str
    captions: tuple[str, ...]
    split: str = ""
    place: int | None = None


def find(name: str, path: str) -> list[Captioned]:
    """Returns the pictures of a folder or a table, in a fixed order.

    name: of the set, for messages.

    Raises FileNotFoundError where there is nothing, ValueError, naming the file and the
    row, for a table that cannot be understood, and for a picture without a sentence.
    """
    found = expanded(path)
    if os.path.isfile(found):
        if not found.lower().endswith(TABLES):
            raise ValueError(f"{name} is a file of another form; wanted {WANTED}")
        return list(_of_table(name, found))
    root = reading.folder(name, found)
    for table in (f"{stem}{ending}" for stem in NAMED for ending in TABLES):
        if os.path.isfile(os.path.join(root, table)):
            return list(_of_table(name, os.path.join(root, table)))
    return list(_of_folder(name, root))


def _of_folder(name: str, root: str) -> Iterator[Captioned]:
    tree = walk(root)
    check_found(name, tree)
    for picture in sorted(tree.pictures, key=natural):
        path = os.path.join(root, picture)
        beside = os.path.splitext(path)[0] + ".txt"
        if not os.path.isfile(beside):
            raise ValueError(
                f"{name}: {picture} has no {os.path.basename(beside)} beside it; "
                f"wanted {WANTED}"
            )
        with _refusing(name, beside), open(beside, encoding="utf-8-sig") as file:
            lines = tuple(line.strip() for line in file if line.strip())
        if not lines:
            raise ValueError(f"{name}: {os.path.relpath(beside, root)} is empty")
        top, _, rest = picture.partition("/")
        yield Captioned(path, lines, top.lower() if rest else "")


def _of_table(name: str, path: str) -> Iterator[Captioned]:
    root, table = os.path.dirname(path), os.path.basename(path)
    with _refusing(name, path):
        rows = _rows(path)
    if not rows:
        raise ValueError(f"{name}: {table} has no rows")
    columns = {key.lower(): key for row in rows for key in row}
    file = next((columns[x] for x in FILE if x in columns), None)
    texts = [columns[x] for x in TEXT if x in columns]
    tags = [columns[x] for x in TAGS if x in columns]
    if not texts + tags:
        raise ValueError(
            f"{name}: {table} has the columns {', '.join(columns.values())}; wanted "
            f"sentences in one of {', '.join(TEXT + TAGS)}"
        )
    split, merged = columns.get("split"), {}
    if file is None:
        strips = _strips(name, root, table)
    for i, row in enumerate(rows):
        sentences = [part for x in texts for part in _parts(row.get(x))]
        sentences += [" ".join(part) for x in tags if (part := _parts(row.get(x)))]
        if not sentences:
            raise ValueError(f"{name}: {table}, row {i + 1}: there is no sentence")
        part = str(row.get(split) or "").lower() if split else ""
        if file is not None:
            where = str(row.get(file) or "")
            if not os.path.isfile(os.path.join(root, where)):
                raise ValueError(f"{name}: {table}, row {i + 1}: no file {where!r}")
            places = [(os.path.join(root, where), None)]
        else:
            places = [
                own[i]
                for style, own in strips.items()
                if str(row.get(f"has_{style}", 1)) not in ("0", "False")
                and i < len(own)
            ]
        for place in places:
            merged.setdefault((*place, part), []).extend(sentences)
    for (where, place, part), sentences in merged.items():
        yield Captioned(where, tuple(dict.fromkeys(sentences)), part, place)


def _rows(path: str) -> list[dict[str, Any]]:
    """The rows of a table, each {column: value}."""
    ending = os.path.splitext(path)[1].lower()
    with open(path, encoding="utf-8-sig", newline="") as file:
        if ending in (".csv", ".tsv"):
            delimiter = "\t" if ending == ".tsv" else ","
            return list(csv.DictReader(file, delimiter=delimiter))
        if ending == ".jsonl":
            return [json.loads(line) for line in file if line.strip()]
        content = json.load(file)
    if isinstance(content, dict) and {"images", "annotations"} <= content.keys():
        files = {x["id"]: x["file_name"] for x in content["images"]}  # as COCO's
        return [
            {"file": files[x["image_id"]], "caption": x["caption"]}
            for x in content["annotations"]
        ]
    if isinstance(content, dict):  # {file: sentence or sentences}
        content = [{"file": x, "captions": said} for x, said in content.items()]
    if not all(isinstance(row, dict) for row in content):
        raise ValueError("wanted a list of objects with file and caption")
    return content


def _parts(value: Any) -> list[str]:
    """The sentences of a cell: a list, or a text in which | is between them."""
    parts = value if isinstance(value, list | tuple) else str(value or "").split("|")
    return [text for part in parts if (text := str(part).strip())]


def _strips(name: str, root: str, table: str) -> dict[str, list[tuple[str, int]]]:
    """{style: (file, place) of each row} of strips STYLE_00.webp, STYLE_01.webp ..."""
    found: dict[str, list[tuple[str, int]]] = {}
    for file in sorted(os.listdir(root)):
        stem, ending = os.path.splitext(file)
        named = _STRIP.fullmatch(stem)
        if not named or ending.lower() not in endings():
            continue
        path = os.path.join(root, file)
        with reading.refusing(path), reading.opened(path) as image:
            width, height = image.size
        if height % width:
            raise ValueError(
                f"{name}: {file} is {width}x{height}; wanted a strip of squares, one "
                "below the other"
            )
        places = [(path, i) for i in range(height // width)]
        found.setdefault(named[1], []).extend(places)
    if not found:
        raise ValueError(
            f"{name}: {table} has no column of files ({', '.join(FILE)}), and no "
            "strips of pictures, NAME_00.png, lie beside it"
        )
    return found


class _refusing:
    """Names the file of what cannot be read in it."""

    def __init__(self, name: str, path: str):
        self._where = f"{name}: {os.path.basename(path)}"

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, ValueError | KeyError | TypeError | csv.Error):
            said = f"no {error}" if isinstance(error, KeyError) else error
            raise ValueError(f"{self._where} cannot be read: {said}") from None
        return False
