"""Which array of a file is which: by the names that people give to queries, databases, codes and labels."""

from __future__ import annotations

import re
from itertools import permutations
from pathlib import Path
from typing import Any

from hashbench.errors import HashbenchError
from hashbench.evaluation.readers.files import Arrays, read_file
from hashbench.evaluation.readers.found import Found, shown, some
from hashbench.evaluation.readers.request import ROLES, Role, Sources, flag_of

# A usual name is a word for the part and a word for the content, in either order: queryB, B_te, db_labels, L_db.
# Words for train rows are missing on purpose: whether they are the database no name tells.
_PARTS = {
    "query": ("query", "queries", "q", "qu", "test", "tst", "te"),
    "database": ("database", "db", "retrieval", "ret", "re", "r", "gallery", "base"),
}
_CONTENTS = {
    "codes": ("codes", "code", "b", "binary", "binaries", "bits", "hash", "hashes", "hashcode", "hashcodes", "h"),
    "labels": ("labels", "label", "l", "y", "lab", "targets", "target", "class", "classes", "tags", "gnd"),
}


def _plain(name: str) -> str:
    """A name in lower case, letters and digits alone, without the groups and structs that it stands in."""
    return re.sub(r"[^a-z0-9]", "", re.split(r"[/.]", name)[-1].lower())


def _usual_names(role: Role) -> frozenset[str]:
    part, content = role.split("_")
    return frozenset(
        "".join(pair)
        for first in _PARTS[part]
        for second in _CONTENTS[content]
        for pair in permutations((first, second))
    )


USUAL: dict[Role, frozenset[str]] = {role: _usual_names(role) for role in ROLES}
"""The usual names of each array, in lower case and without anything but letters and digits."""


def is_usual(name: str) -> bool:
    """Whether a name is one that people give to codes or labels, of a named part or of none."""
    plain = _plain(name)
    return any(plain in names for names in (*USUAL.values(), *_CONTENTS.values()))


def find(sources: Sources) -> dict[Role, Found]:
    """The four arrays where `sources` says or by their usual names. Raises HashbenchError where a name is not clear."""
    files: dict[Path, Arrays] = {}

    def arrays_of(path: Path) -> Arrays:
        if path not in files:
            files[path] = read_file(path)
        return files[path]

    found = {}
    for role in ROLES:
        file, key = split_source(sources.named.get(role, sources.file or ""), sources.file, flag_of(role))
        arrays = arrays_of(file)
        key = _checked(arrays, key, file, role) if key else _usual_key(arrays, file, role, role in sources.named)
        found[role] = Found(role, file, key, tuple(arrays), arrays[key])
    _refuse_twice(found)
    return found


def split_source(text: str, file: str | None, flag: str) -> tuple[Path, str]:
    """File and key of `FILE`, `FILE:KEY`, or `:KEY` of `file`; a file whose name holds a colon is found as it is."""
    if Path(text).is_file() or ":" not in text:
        return Path(text), ""
    named, _, key = text.rpartition(":")
    if not named and file is None:
        raise HashbenchError(f"{flag} {text} names a key and no file: give FILE:KEY, or a FILE for all")
    return Path(named or str(file)), key


def _checked(arrays: Arrays, key: str, file: Path, role: Role) -> str:
    if key not in arrays:
        raise HashbenchError(
            f"{shown(file.name)} has no array '{shown(key)}' for {flag_of(role)}: it has {_named(arrays)}"
        )
    return key


def _usual_key(arrays: Arrays, file: Path, role: Role, named: bool) -> str:
    """The only array with a usual name; where an option gave the file for this role, the content's name is enough."""
    keys = [key for key in arrays if _plain(key) in USUAL[role]]
    if named and not keys:
        keys = [key for key in arrays if _plain(key) in _CONTENTS[role.split("_")[1]]]
    if named and not keys and len(arrays) == 1:
        keys = list(arrays)
    if len(keys) == 1:
        return keys[0]
    if not keys:
        raise HashbenchError(
            f"{shown(file.name)} has no array with a usual name for {role}: it has {_named(arrays)}; say which by "
            f"{flag_of(role)} {shown(file.name)}:KEY"
        )
    raise HashbenchError(
        f"{shown(file.name)} has {len(keys)} arrays with a usual name for {role}, {some(keys)}; say which by "
        f"{flag_of(role)} {shown(file.name)}:KEY"
    )


def _named(arrays: dict[str, Any]) -> str:
    return some([name or "one array without a name" for name in arrays])


def _refuse_twice(found: dict[Role, Found]) -> None:
    """Codes are no labels, so no array can be both; one file for query and database alike is no mistake."""
    for part in ("query", "database"):
        codes, labels = found[f"{part}_codes"], found[f"{part}_labels"]  # type: ignore[index]
        if (codes.file, codes.key) == (labels.file, labels.key):
            raise HashbenchError(
                f"{codes.role} and {labels.role} are both {codes.place}: say which array is which by {codes.flag} "
                f"FILE:KEY and {labels.flag} FILE:KEY"
            )
