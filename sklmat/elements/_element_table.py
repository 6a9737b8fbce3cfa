"""`element_table`: properties of the elements, with units and sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from sklmat.argument_checks import checked_arguments
from sklmat.recorded_warnings import ignore_warnings

#: Rows of every table of vectors: row Z is the element of atomic number Z, row 0 is unused.
N_ROWS = 119
#: The heaviest element in "physical" and "cgcnn" (Lr): hardly any property of heavier ones is
#: measured.
MAX_PHYSICAL = 103

#: Column of `element_table` -> attribute of pymatgen's ``Element``.
_ATTRIBUTES = {
    "group": "group",
    "period": "row",
    "Mendeleev number": "mendeleev_no",
    "atomic mass (u)": "atomic_mass",
    "electronegativity (Pauling)": "X",
    "atomic radius (Å)": "atomic_radius",
    "metallic radius (Å)": "metallic_radius",
    "van der Waals radius (Å)": "van_der_waals_radius",
    "first ionisation energy (eV)": "ionization_energy",
    "electron affinity (eV)": "electron_affinity",
    "molar volume (cm³/mol)": "molar_volume",
    "melting point (K)": "melting_point",
    "boiling point (K)": "boiling_point",
}
_COLUMNS = [
    "atomic number",
    "group",
    "period",
    "block",
    "Mendeleev number",
    "atomic mass (u)",
    "valence electrons",
    "electronegativity (Pauling)",
    "atomic radius (Å)",
    "covalent radius (Å)",
    "metallic radius (Å)",
    "van der Waals radius (Å)",
    "first ionisation energy (eV)",
    "electron affinity (eV)",
    "molar volume (cm³/mol)",
    "melting point (K)",
    "boiling point (K)",
    "s valence electrons",
    "p valence electrons",
    "d valence electrons",
    "f valence electrons",
    "unfilled valence states",
    "polarizability (Å³)",
    "single-bond radius (Å)",
    "isodensity radius (Å)",
    "Glawe number",
    "atomisation enthalpy (eV)",
]
BLOCKS = ("s", "p", "d", "f")
#: Electrons of a filled subshell.
_CAPACITY = {"s": 2, "p": 6, "d": 10, "f": 14}


@checked_arguments()
def element_table(
    elements: Sequence[str] | None = None, *, estimates: bool = False
) -> pd.DataFrame:
    """Physical properties of the elements, with units and sources.

    Parameters
    ----------
    elements : sequence of str, default=None
        Chemical symbols of the rows to return, in this order; by default all 118 elements.
    estimates : bool, default=False
        Whether to fill in estimates where no number is known. All columns except ``metallic
        radius (Å)`` are then complete from H to Pu. ``table.attrs["estimates"]`` names the
        elements with an estimate in each column.

    Returns
    -------
    table : pandas.DataFrame
        One row per element, indexed by symbol. A number that is not known is NaN. The first columns
        come from pymatgen, here with the attribute of ``pymatgen.core.Element``:

        - ``atomic number`` (``Z``).
        - ``group`` (``group``): 1 to 18. All lanthanides and actinides are in group 3.
        - ``period`` (``row``): 1 to 7. Lanthanides 6, actinides 7.
        - ``block`` (``block``): "s", "p", "d" or "f". La to Yb and Ac to No are "f", Lu and Lr "d".
          Helium is "s" because of its electron configuration; in pymatgen it is "p" because of its
          group.
        - ``Mendeleev number`` (``mendeleev_no``): Pettifor's chemical scale; NaN beyond Lr.
        - ``atomic mass (u)`` (``atomic_mass``).
        - ``valence electrons``: counted from ``electronic_structure``, see Notes.
        - ``electronegativity (Pauling)`` (``X``): NaN for He, Ne, Ar and beyond Lr.
        - ``atomic radius (Å)`` (``atomic_radius``): Slater's empirical radii.
        - ``covalent radius (Å)``: ``radius`` of
          ``pymatgen.analysis.molecule_structure_comparator.CovalentRadius``, Cordero et al. [1]_
          (for Mn, Fe and Co the mean of their low- and high-spin values); NaN beyond Cm.
        - ``metallic radius (Å)`` (``metallic_radius``): for coordination number 12; NaN for
          non-metals.
        - ``van der Waals radius (Å)`` (``van_der_waals_radius``).
        - ``first ionisation energy (eV)`` (``ionization_energy``).
        - ``electron affinity (eV)`` (``electron_affinity``): negative where the anion is unbound.
        - ``molar volume (cm³/mol)`` (``molar_volume``): volume of the condensed element.
        - ``melting point (K)`` (``melting_point``), ``boiling point (K)`` (``boiling_point``).
        - ``s valence electrons``, ..., ``f valence electrons``: electrons outside the noble-gas
          core in each kind of subshell, filled ones included; ``unfilled valence states``: states
          of these subshells without an electron. NaN beyond Lr.

        The other columns go from H to Pu:

        - ``polarizability (Å³)``: static dipole polarizability of the atom [2]_.
        - ``single-bond radius (Å)``: covalent radius of Pyykkö and Atsumi [3]_.
        - ``isodensity radius (Å)``: radius of the free atom at an electron density of 0.001 in
          atomic units, Rahm et al. [4]_.
        - ``Glawe number``: order of the elements in which neighbours replace each other in
          crystals most often, Glawe et al. [5]_.
        - ``atomisation enthalpy (eV)``: enthalpy of formation of the gaseous atom from the element
          in its standard state at 298 K [6]_; zero for noble gases.

    Raises
    ------
    ValueError
        When one of `elements` is not a chemical symbol.

    Notes
    -----
    Valence electrons are the electrons outside the noble-gas core. A filled f shell is not counted,
    nor is a filled d shell if the atom has p electrons outside the core: Al 3, Fe 8, Cu 11, Zn 12,
    Ga 3, Ce 4, Yb 2, Hf 4, Pb 4, Xe 8. Alloy theory uses this number as the valence electron
    concentration. An open f shell is counted (Tm 15). Elements beyond Lr have NaN, because their
    configurations are only predicted.

    The estimates are: electronegativities of He, Ne and Ar on Allen's spectroscopic scale [7]_;
    atomic radii of noble gases from calculated orbitals, as pymatgen has for Ar, and of At and Fr
    from their covalent radii; molar volumes of At and Fr from predicted densities; boiling points
    of At, Fr and Pa from predictions; atomisation enthalpies of Po (its cohesive energy), Pm (mean
    of its neighbours), At and Fr (extrapolated in their groups).

    References
    ----------
    .. [1] B. Cordero et al., "Covalent radii revisited", Dalton Trans. 2832 (2008).
       :doi:`10.1039/b801115j`
    .. [2] P. Schwerdtfeger and J. K. Nagle, Mol. Phys. 117, 1200 (2019).
       :doi:`10.1080/00268976.2018.1535143`
    .. [3] P. Pyykkö and M. Atsumi, Chem. Eur. J. 15, 186 (2009). :doi:`10.1002/chem.200800987`
    .. [4] M. Rahm, R. Hoffmann and N. W. Ashcroft, Chem. Eur. J. 22, 14625 (2016).
       :doi:`10.1002/chem.201602949`
    .. [5] H. Glawe et al., New J. Phys. 18, 093011 (2016). :doi:`10.1088/1367-2630/18/9/093011`
    .. [6] W. M. Haynes (ed.), CRC Handbook of Chemistry and Physics, 95th edition (2014).
    .. [7] L. C. Allen, J. Am. Chem. Soc. 111, 9003 (1989). :doi:`10.1021/ja00207a003`

    Examples
    --------
    >>> from sklmat import element_table
    >>> element_table(["Fe", "Pd"])[["group", "valence electrons", "electronegativity (Pauling)"]]
        group  valence electrons  electronegativity (Pauling)
    Fe      8                8.0                         1.83
    Pd     10               10.0                         2.20
    >>> table = element_table(["Ne", "Fe"], estimates=True)
    >>> table["electronegativity (Pauling)"].tolist()
    [4.79, 1.83]
    >>> table.attrs["estimates"]
    {'electronegativity (Pauling)': ['Ne'], 'atomic radius (Å)': ['Ne']}
    """
    table = _estimated_properties() if estimates else measured_properties()
    if elements is None:
        elements = table.index
    elements = list(elements)
    unknown = [str(symbol) for symbol in elements if symbol not in table.index]
    if unknown:
        raise ValueError(
            f"not chemical symbols: {', '.join(unknown)}; write symbols such as 'Fe', one per item"
        )
    selected = table.loc[elements].copy()
    if estimates:
        selected.attrs["estimates"] = _estimated_elements(set(elements))
    return selected


def _estimated_elements(elements):
    """Column -> symbols among `elements` that have an estimate."""
    found: dict[str, list[str]] = {}
    for row in _read_csv("element_estimates.csv").itertuples(index=False):
        if row.symbol in elements:
            found.setdefault(row.property, []).append(row.symbol)
    return found


@cache
def _read_csv(name):
    # The symbol of sodium is no missing value.
    return pd.read_csv(Path(__file__).with_name(name), keep_default_na=False, na_values=[""])


@cache
def _estimated_properties():
    table = measured_properties().copy()
    for row in _read_csv("element_estimates.csv").itertuples(index=False):
        table.loc[row.symbol, row.property] = row.value
    return table


@cache
def measured_properties():
    from pymatgen.core import Element

    rows = {}
    # pymatgen warns of every number that it does not have, which is NaN in the table.
    with ignore_warnings():
        for number in range(1, N_ROWS):
            element = Element.from_Z(number)
            rows[element.symbol] = _properties(element)
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.join(_read_csv("element_properties.csv").set_index("symbol"))[_COLUMNS]


def _properties(element):
    """One row of the table."""
    # Imported here because it takes more time than the rest of this module.
    from pymatgen.analysis.molecule_structure_comparator import CovalentRadius

    row = {name: _read(element, attribute) for name, attribute in _ATTRIBUTES.items()}
    row["group"], row["period"] = int(row["group"]), int(row["period"])
    row["atomic number"] = int(element.Z)
    row["block"] = "s" if element.Z == 2 else element.block
    row["covalent radius (Å)"] = _number(CovalentRadius.radius.get(element.symbol))
    # The configurations of heavier elements are only predicted.
    counts = _subshells(element.electronic_structure) if element.Z <= MAX_PHYSICAL else None
    row["valence electrons"] = _valence_electrons(counts)
    for kind in BLOCKS:
        row[f"{kind} valence electrons"] = np.nan if counts is None else float(counts.get(kind, 0))
    row["unfilled valence states"] = _unfilled_states(counts)
    return row


def _read(element, attribute):
    try:
        return _number(getattr(element, attribute))
    except KeyError:  # raised by some attributes of superheavy elements without a number
        return float("nan")


def _number(value):
    return float("nan") if value is None else float(value)


def _subshells(structure):
    """Electrons of each kind of subshell in a configuration such as "[Ar].3d10.4s2.4p1"."""
    shells = re.findall(r"(?<![\w\[])\d([spdf])(\d+)", structure)
    return {kind: int(count) for kind, count in shells}


def _valence_electrons(counts):
    """Number of electrons without a filled f shell, and a filled d shell below p electrons."""
    if counts is None:
        return np.nan
    total = sum(counts.values())
    if counts.get("f") == 14:
        total -= 14
    if counts.get("d") == 10 and "p" in counts:
        total -= 10
    return float(total)


def _unfilled_states(counts):
    if counts is None:
        return np.nan
    return float(sum(_CAPACITY[kind] - count for kind, count in counts.items()))


def element_symbols(numbers: Iterable[int] | np.ndarray) -> list[str]:
    """Chemical symbols of atomic numbers.

    Parameters
    ----------
    numbers : array-like of int

    Returns
    -------
    list of str

    Examples
    --------
    >>> from sklmat.elements import element_symbols
    >>> element_symbols([29, 28])
    ['Cu', 'Ni']
    """
    symbols = measured_properties().index
    return [symbols[int(number) - 1] for number in numbers]
