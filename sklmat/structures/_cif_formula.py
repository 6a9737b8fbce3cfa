"""The formula that a CIF states, and its comparison with the sites."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

import numpy as np

from sklmat.structures._cif_tags import NUMBER, Tags, first_value

#: Relative tolerance for amounts that are not whole numbers, which are often rounded.
_ROUNDED_AMOUNTS = 0.01
#: Ends of the tags of a formula, the most reliable one first.
_KINDS = ("sum", "moiety", "structural", "analytical")


class StatedFormula(NamedTuple):
    """The formula of a block, and how many of its units the cell holds.

    Parameters
    ----------
    amounts : dict of str to float, or None
        Amount of each element; hydrogen stands for its isotopes. None if no formula is stated.
    n_units : float or None
        Formula units in the cell; None if their number is not stated.
    """

    amounts: dict[str, float] | None
    n_units: float | None

    def contradiction(self, found: dict[str, float]) -> str | None:
        """Say how the amounts of the elements among the sites contradict the formula, if so."""
        if self.amounts is None or _same_ratios(found, self.amounts):
            return None
        missing = [symbol for symbol in self.amounts if symbol not in found]
        reason = f"; {', '.join(missing)} is missing" if missing else ""
        return f"but the file states the formula {formula_text(self.amounts)}{reason}"

    def has_units(self, n_atoms: int) -> bool | None:
        """Whether this many atoms are the stated formula units; None if they are not stated.

        Some programs state the formula of the cell, but count reduced formulas.
        """
        if self.amounts is None or self.n_units is None:
            return None
        n_expected = self.n_units * sum(self.amounts.values())
        whole = [int(amount) for amount in self.amounts.values() if amount.is_integer()]
        divisor = math.gcd(*whole) if len(whole) == len(self.amounts) else 1
        return any(
            abs(n_atoms / size - 1) <= _tolerance(self.amounts)
            for size in (n_expected, n_expected / divisor)
        )


def stated_formula(tags: Tags) -> StatedFormula:
    """Read the formula of a block; one that cannot be read counts as not stated."""
    texts = [first_value(tags, f"_chemical_formula_{name}") for name in _KINDS]
    formulas = [_parse_formula(text) for text in texts if text is not None]
    units = first_value(tags, "_cell_formula_units_z")
    match = None if units is None else NUMBER.fullmatch(units)
    return StatedFormula(
        next((amounts for amounts in formulas if amounts), None),
        float(match[1]) if match and float(match[1]) > 0 else None,
    )


def _same_ratios(found, amounts):
    if set(found) != set(amounts):
        return False
    ratios = np.array([found[symbol] / amounts[symbol] for symbol in amounts])
    return bool(np.ptp(ratios) <= _tolerance(amounts) * ratios.mean())


def _tolerance(amounts):
    """Relative tolerance of amounts: whole numbers are exact, others are often rounded."""
    return 1e-6 if all(amount.is_integer() for amount in amounts.values()) else _ROUNDED_AMOUNTS


def _parse_formula(text):
    """Amounts by element ("H" for its isotopes), or None if the formula cannot be read."""
    from pymatgen.core import Composition

    # A number between blanks and a parenthesis is a factor: Cu S O4, 5(H2 O).
    text = re.sub(r"\s+(?=\d+\.?\d*\s*\()", ",", text)
    amounts: dict[str, float] = {}
    for part in re.split(r"[,;·*]", text):
        # Parts of a moiety formula: 2(H2 O), Ca 2+, n(C4 H4 O4 2-).
        part = re.sub(r"(?<![A-Za-z])(\d*\.?\d*)([+-])(?=\s|\)|$)", "", part.strip())
        match = re.fullmatch(r"(\d+\.?\d*|\.\d+)?\s*(.*)", part, re.DOTALL)
        factor, body = float(match[1] or 1), re.sub(r"[\s~_']", "", match[2])
        if not body:
            continue
        try:
            found = Composition(body)
            for element, amount in found.items():
                symbol = element_of_isotope(element.symbol)
                amounts[symbol] = amounts.get(symbol, 0.0) + factor * amount
        except Exception:
            return None
    return amounts if all(is_element(symbol) for symbol in amounts) else None


def element_of_isotope(symbol: str) -> str:
    """Hydrogen for its isotopes D and T; otherwise the symbol itself."""
    return "H" if symbol in ("D", "T") else symbol


def is_element(symbol: str) -> bool:
    """Whether a string is the symbol of an element or of an isotope of hydrogen."""
    from pymatgen.core import Element

    return Element.is_valid_symbol(symbol)


def formula_text(amounts: dict[str, float]) -> str:
    """Write amounts as a formula."""
    return "".join(
        f"{symbol}{amount:g}" if amount != 1 else symbol for symbol, amount in amounts.items()
    )
