"""Symmetry operations of a CIF: written out, or looked up from the name of the space group."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np

from sklmat.recorded_warnings import ignore_warnings

#: Largest change of an angle or length, relative, by which an operation may miss the cell.
_METRIC_TOLERANCE = 0.02
#: Ends of Hermann-Mauguin symbols in the ICSD, and the origin choice that they mean.
_ORIGIN_OF_SUFFIX = {"S": "1", "Z": "2"}
_TERM = re.compile(r"([+-]?)(?:(\d+(?:\.\d*)?|\.\d+)(?:/(\d+))?)?\*?([xyz]?)")


class Operations(NamedTuple):
    """Symmetry operations x -> R x + t in fractional coordinates.

    Parameters
    ----------
    rotations : ndarray of shape (n, 3, 3)
    translations : ndarray of shape (n, 3)
    description : str
        Where the operations come from, for messages.
    number : int or None
        Number of the space group in the International Tables, if it was named.
    """

    rotations: np.ndarray
    translations: np.ndarray
    description: str
    number: int | None = None

    def __len__(self) -> int:
        return len(self.rotations)

    def keys(self) -> set[int]:
        """One number for each operation, the same for operations that differ by lattice vectors."""
        return set(np.unique(_keys(self.rotations, self.translations)).tolist())

    def is_group(self) -> bool:
        """Whether the identity and the product of every two operations are among them."""
        rotations = np.einsum("nij,mjk->nmik", self.rotations, self.rotations)
        translations = np.einsum("nij,mj->nmi", self.rotations, self.translations)
        translations = translations + self.translations[:, None]
        products = np.unique(_keys(rotations.reshape(-1, 3, 3), translations.reshape(-1, 3)))
        is_identity = np.isclose(self.rotations, np.eye(3)).all(axis=(1, 2))
        return bool(is_identity.any()) and set(products.tolist()) == self.keys()

    def fit(self, matrix: np.ndarray) -> bool:
        """Whether every operation maps the lattice with these row vectors onto itself."""
        metric = matrix @ matrix.T
        changed = np.einsum("nij,ik,nkl->njl", self.rotations, metric, self.rotations)
        lengths = np.sqrt(np.diag(metric))
        difference = np.abs(changed - metric) / np.outer(lengths, lengths)
        return bool((difference <= _METRIC_TOLERANCE).all())


def _keys(rotations, translations):
    """One whole number for each operation; 5040 is a multiple of all denominators up to ten."""
    digits = np.round(rotations.reshape(-1, 9)).astype(np.int64) + 2
    steps = np.round(translations * 5040).astype(np.int64) % 5040
    return digits @ 5 ** np.arange(9) + 5**9 * (steps @ 5040 ** np.arange(3))


def identity(description: str) -> Operations:
    """Return the operation of P 1 alone."""
    return Operations(np.eye(3)[None], np.zeros((1, 3)), description)


def parse_operations(texts: list[str], description: str) -> Operations:
    """Parse operations such as ``x, 1/2-y, z``; raise a ValueError that names a wrong one."""
    parsed = [_parse_operation(text) for text in texts]
    rotations = np.array([rotation for rotation, _ in parsed])
    translations = np.array([translation for _, translation in parsed]) % 1.0
    return _without_repetition(rotations, translations, description)


def with_centering(operations: Operations, centering: Operations) -> Operations:
    """Combine operations with the translations of a second list (as magnetic CIFs do)."""
    translations = operations.translations[:, None] + centering.translations[None]
    rotations = np.repeat(operations.rotations, len(centering), axis=0)
    return _without_repetition(rotations, translations.reshape(-1, 3) % 1.0, operations.description)


def _parse_operation(text):
    parts = text.lower().replace(" ", "").split(",")
    if len(parts) != 3:
        raise ValueError(f"the symmetry operation {text!r} has no three components")
    rotation, translation = np.zeros((3, 3)), np.zeros(3)
    for row, part in enumerate(parts):
        end = 0
        for match in _TERM.finditer(part):
            sign, number, denominator, axis = match.groups()
            if not match.group():
                continue
            if match.start() != end or not (number or axis):
                break
            end = match.end()
            value = float(number or 1) / float(denominator or 1) * (-1 if sign == "-" else 1)
            if axis:
                rotation[row, "xyz".index(axis)] += value
            else:
                # Decimals such as 0.3333 mean the fraction.
                simple = float(Fraction(value).limit_denominator(24))
                translation[row] += simple if abs(simple - value) < 2e-4 else value
        if end != len(part) or not part:
            raise ValueError(f"the symmetry operation {text!r} cannot be read")
    if abs(abs(np.linalg.det(rotation)) - 1) > 1e-6:
        raise ValueError(f"the symmetry operation {text!r} does not preserve the volume")
    return rotation, translation


def _without_repetition(rotations, translations, description):
    """Drop operations that were given twice, up to lattice translations; keep the order."""
    rows = np.column_stack([rotations.reshape(-1, 9), np.round(translations, 5) % 1.0])
    _, first = np.unique(rows, axis=0, return_index=True)
    first.sort()
    return Operations(rotations[first], translations[first], description)


def operations_from_hall(symbol: str) -> Operations:
    """Operations of a Hall symbol; raise a ValueError if it is not one."""
    import gemmi

    try:
        group = gemmi.symops_from_hall(symbol.replace("_", " "))
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the Hall symbol {symbol!r} cannot be read ({error})") from error
    setting = gemmi.find_spacegroup_by_ops(group)
    number = None if setting is None else setting.number
    return _from_gemmi(group, f"Hall symbol {symbol!r}", number)


def settings_of_name(name: str) -> list[Operations]:
    """Operations of each setting that a Hermann-Mauguin symbol can mean; empty if unknown.

    A symbol without extension leaves the origin (``:1`` or ``:2``) or the axes (``:H`` or ``:R``)
    open.
    """
    symbol, extension = _split_extension(name)
    found = [
        setting
        for setting in _settings()
        if symbol in setting[1] and extension in (None, setting[0].ext)
    ]
    if not found:
        import gemmi

        # It knows older symbols, such as F m 3 m for F m -3 m.
        group = gemmi.find_spacegroup_by_name(symbol)
        if group is not None:
            found = [
                setting
                for setting in _settings()
                if setting[0].hm == group.hm and extension in (None, setting[0].ext)
            ]
    if not found and extension is None:
        return [operations_from_hall(hall) for hall in _hall_of_full_symbols().get(symbol, ())]
    return [_of_setting(group) for group, _ in found]


def settings_of_number(number: int) -> tuple[list[Operations], list[Operations]]:
    """Operations of the standard settings of a space group number, and of its other settings.

    The standard settings differ in the origin, or are the hexagonal and rhombohedral axes.
    """
    groups = [group for group, _ in _settings() if group.number == number]
    reference = {group.hm for group in groups if group.is_reference_setting()}
    standard = [_of_setting(group) for group in groups if group.hm in reference]
    return standard, [_of_setting(group) for group in groups if group.hm not in reference]


def _split_extension(name):
    name = name.strip().replace("_", "")
    match = re.fullmatch(r"(.*\S)\s*:\s*([12HRSZhr])", name) or re.fullmatch(
        r"(.*\S)\s+([HRSZ])", name
    )
    if match is None:
        return _normalized(name), None
    extension = match[2].upper()
    return _normalized(match[1]), _ORIGIN_OF_SUFFIX.get(extension, extension)


def _normalized(symbol):
    # Parentheses stand around the subscript of a screw axis: P 2(1)/c.
    return re.sub(r"[\s()_]", "", symbol).lower()


@cache
def _hall_of_full_symbols():
    """Hall symbols of each full Hermann-Mauguin symbol, such as F 4/m -3 2/m; from spglib."""
    import spglib

    symbols: dict[str, list[str]] = {}
    # spglib announces its coming error handling with every call.
    with ignore_warnings(DeprecationWarning):
        settings = [spglib.get_spacegroup_type(number) for number in range(1, 531)]
    for setting in settings:
        symbols.setdefault(_normalized(setting.international_full), []).append(setting.hall_symbol)
    return symbols


@cache
def _settings():
    """Each setting of each space group, with the spellings of its symbol."""
    import gemmi

    return [
        (group, {_normalized(group.hm), _normalized(group.short_name())})
        for group in gemmi.spacegroup_table()
    ]


def _of_setting(group):
    return _from_gemmi(group.operations(), f"space group {group.xhm()}", group.number)


def _from_gemmi(group, description, number):
    operations = list(group)
    den = float(operations[0].DEN)
    return Operations(
        np.array([operation.rot for operation in operations]) / den,
        np.array([operation.tran for operation in operations]) / den % 1.0,
        description,
        number,
    )
