"""`cif_blocks` reads the tags of a CIF; `number` and `first_value` read their values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

#: Values of each tag of a block, in lower case; None where the file has "." or "?".
Tags = dict[str, list[str | None]]

OCCUPANCY = "_atom_site_occupancy"
#: Tags with a default, for which "?" (unknown) is not the same as "." (the default).
KEPT_UNKNOWN = {OCCUPANCY, *(f"_cell_angle_{name}" for name in ("alpha", "beta", "gamma"))}
#: A number, with its uncertainty in parentheses.
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?:\(\d+\))?")


class CifProblem(ValueError):
    """What is wrong with a block of a CIF."""


def cif_blocks(text: str) -> Iterator[tuple[str, Tags]]:
    """Name and tags of each block; a tag is in lower case and has a list of values."""
    from gemmi import cif

    try:
        document = cif.read_string(text, 0)
    except (ValueError, RuntimeError):
        # Some programs write values of several words without quotes.
        quoted = [_with_quotes(line) for line in text.split("\n")]
        try:
            document = cif.read_string("\n".join(quoted), 0)
        except (ValueError, RuntimeError) as error:
            where = re.sub(r"^string:", "line ", str(error))
            raise ValueError(f"the text is not a valid CIF: {where}") from error
    for block in document:
        yield block.name, _tags(block, cif)


def _with_quotes(line):
    """A tag and its value of several words, with quotes around the value."""
    tag, _, value = line.partition(" ")
    value = value.strip()
    is_pair = tag.startswith("_") and len(value.split()) > 1
    return line if not is_pair or re.search(r"['\"#;]", value) else f"{tag} '{value}'"


def _tags(block, cif):
    tags: Tags = {}
    for item in block:
        if item.pair is not None:
            _add(tags, item.pair[0], [item.pair[1]], cif)
        elif item.loop is not None:
            names, values = item.loop.tags, item.loop.values
            for k, name in enumerate(names):
                _add(tags, name, values[k :: len(names)], cif)
    return tags


def _add(tags, name, values, cif):
    name = name.lower().replace(".", "_").rstrip("_")
    # "." means the default of the tag, "?" that the value is unknown.
    values = [
        value
        if value == "?" and name in KEPT_UNKNOWN
        else None
        if cif.is_null(value)
        else cif.as_string(value).strip()
        for value in values
    ]
    if tags.get(name, values) != values:
        raise ValueError(f"the tag {name} is given twice, with different values")
    tags[name] = values


def holds_sites(tags: Tags) -> bool:
    """Whether a block holds atom sites with coordinates."""
    return any(
        any(value is not None for value in tags.get(f"_atom_site_{name}", ()))
        for name in ("fract_x", "cartn_x")
    )


def first_value(tags: Tags, *names: str) -> str | None:
    """First value of the first of these tags that has one, or None."""
    for name in names:
        for value in tags.get(name, ()):
            if value is not None:
                return value
    return None


def number(text: str, name: str) -> float:
    """Read a number; the CifProblem for any other text calls it `name`."""
    match = NUMBER.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        comma = "; decimals need a point" if "," in text else ""
        raise CifProblem(f"{name} is {text!r}, which is not a number{comma}")
    return float(match[1])
