"""`element_data`: the numbers by which the model of `make_prototypes` tells elements apart."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from sklmat.elements import N_ROWS, element_table

#: Cohesive energy (eV/atom) and bulk modulus (GPa) of the elements of the model (1 to 94 without
#: noble gases), after Kittel, Introduction to Solid State Physics, chapter 3. Those of Pm, Po, At,
#: Fr, Ra, Ac, Pa and Np are partly estimates. H is half the energy that separates the molecule. The
#: modulus of non-metals is that of molecules or layers, not of bonds, and is not used (NaN).
NAN = float("nan")
COHESION = {
    "H": (2.24, NAN), "Li": (1.63, 11.6), "Be": (3.32, 100.3), "B": (5.81, NAN), "C": (7.37, NAN),
    "N": (4.92, NAN), "O": (2.60, NAN), "F": (0.84, NAN), "Na": (1.113, 6.8), "Mg": (1.51, 35.4),
    "Al": (3.39, 72.2), "Si": (4.63, NAN), "P": (3.43, NAN), "S": (2.85, NAN), "Cl": (1.40, NAN),
    "K": (0.934, 3.2), "Ca": (1.84, 15.2), "Sc": (3.90, 43.5), "Ti": (4.85, 105.1),
    "V": (5.31, 161.9), "Cr": (4.10, 190.1), "Mn": (2.92, 59.6), "Fe": (4.28, 168.3),
    "Co": (4.39, 191.4), "Ni": (4.44, 186.0), "Cu": (3.49, 137.0), "Zn": (1.35, 59.8),
    "Ga": (2.81, 56.9), "Ge": (3.85, NAN), "As": (2.96, NAN), "Se": (2.46, NAN), "Br": (1.22, NAN),
    "Rb": (0.852, 3.1), "Sr": (1.72, 11.6), "Y": (4.37, 36.6), "Zr": (6.25, 83.3),
    "Nb": (7.57, 170.2), "Mo": (6.82, 272.5), "Tc": (6.85, 297.0), "Ru": (6.74, 320.8),
    "Rh": (5.75, 270.4), "Pd": (3.89, 180.8), "Ag": (2.95, 100.7), "Cd": (1.16, 46.7),
    "In": (2.52, 41.1), "Sn": (3.14, NAN), "Sb": (2.75, NAN), "Te": (2.19, NAN), "I": (1.11, NAN),
    "Cs": (0.804, 2.0), "Ba": (1.90, 10.3), "La": (4.47, 24.3), "Ce": (4.32, 23.9),
    "Pr": (3.70, 30.6), "Nd": (3.40, 32.7), "Pm": (2.90, 35.0), "Sm": (2.14, 29.4),
    "Eu": (1.86, 14.7), "Gd": (4.14, 38.3), "Tb": (4.05, 39.9), "Dy": (3.04, 38.4),
    "Ho": (3.14, 39.7), "Er": (3.29, 41.1), "Tm": (2.42, 39.7), "Yb": (1.60, 13.3),
    "Lu": (4.43, 41.1), "Hf": (6.44, 109.0), "Ta": (8.10, 200.0), "W": (8.90, 323.2),
    "Re": (8.03, 372.0), "Os": (8.17, 418.0), "Ir": (6.94, 355.0), "Pt": (5.84, 278.3),
    "Au": (3.81, 173.2), "Hg": (0.67, 38.2), "Tl": (1.88, 35.9), "Pb": (2.03, 43.0),
    "Bi": (2.18, 31.5), "Po": (1.50, 26.0), "At": (0.95, NAN), "Fr": (0.78, 2.0),
    "Ra": (1.66, 13.2), "Ac": (4.25, 25.0), "Th": (6.20, 54.3), "Pa": (5.46, 76.0),
    "U": (5.55, 98.7), "Np": (4.73, 68.0), "Pu": (3.60, 54.0),
}  # fmt: skip

#: Number of bonds of each atom in the elements that are no metals.
NONMETALS = {
    **dict.fromkeys(("H", "N", "O", "F", "Cl", "Br", "I", "At"), 1),
    **dict.fromkeys(("S", "Se", "Te"), 2),
    **dict.fromkeys(("P", "As", "Sb"), 3),
    **dict.fromkeys(("C", "Si", "Ge", "Sn"), 4),
    "B": 6,
}
#: Bond length (Å) of molecules with a single bond. For other non-metals it is twice the covalent
#: radius.
MOLECULES = {"H": 0.74, "F": 1.41, "Cl": 1.99, "Br": 2.28, "I": 2.67}
#: Product of the decay constants of their bonds, in units of the bond length: about that of the
#: metals and of diamond and silicon.
NONMETAL_STIFFNESS = 24.0
#: Electrons that an atom gives or takes at most, by group of the periodic table (1 to 18).
VALENCES = (1, 2, 3, 4, 4, 4, 3, 3, 3, 2, 1, 2, 3, 4, 3, 2, 1, 0)
#: f elements with another valence than 3.
F_VALENCES = {"Eu": 2, "Yb": 2, **dict.fromkeys(("Th", "Pa", "U", "Np", "Pu"), 4)}

#: Volume (Å³) that a mole of atoms in cm³ gives each of them.
VOLUME_OF_MOLAR = 1 / 0.602214076
#: Molar volume (cm³/mol) of astatine and francium, estimates.
MOLAR_VOLUMES = {"At": 24.0, "Fr": 75.0}
#: One eV/Å³ in GPa.
GPA = 160.21766


class Elements(NamedTuple):
    """Properties by atomic number, arrays of shape (119,); NaN for elements outside the model."""

    #: Pauling electronegativity.
    electronegativity: np.ndarray
    #: Covalent radius (Å).
    radius: np.ndarray
    #: Electrons that the atom gives or takes at most.
    valence: np.ndarray
    #: Cohesive energy (eV/atom) in the reference structure.
    cohesion: np.ndarray
    #: Bond length (Å) in the reference structure.
    length: np.ndarray
    #: Product of the two decay constants, in units of the bond length.
    stiffness: np.ndarray
    #: Bonds per atom in the reference structure; 12 for metals.
    n_bonds: np.ndarray
    #: Volume (Å³/atom) of the condensed element.
    volume: np.ndarray
    #: Mendeleev number.
    mendeleev: np.ndarray


@cache
def element_data() -> Elements:
    """Properties of the elements."""
    columns: dict[str, np.ndarray] = {}
    table = element_table().to_dict("index")
    for symbol, (cohesion, modulus) in COHESION.items():
        row = table[symbol]
        number = int(row["atomic number"])
        molar = MOLAR_VOLUMES.get(symbol, row["molar volume (cm³/mol)"])
        volume = molar * VOLUME_OF_MOLAR
        if symbol in NONMETALS:
            # Their volumes are those of molecules and layers, not of bonds.
            length = MOLECULES.get(symbol, 2 * row["covalent radius (Å)"])
            stiffness = NONMETAL_STIFFNESS
        else:
            # The nearest neighbours of a close-packed crystal.
            length = (2**0.5 * volume) ** (1 / 3)
            stiffness = 9 * volume * modulus / GPA / cohesion
        valence = VALENCES[int(row["group"]) - 1]
        values = {
            "electronegativity": row["electronegativity (Pauling)"],
            "radius": row["covalent radius (Å)"],
            "valence": F_VALENCES.get(symbol, valence),
            "cohesion": cohesion,
            "length": length,
            "stiffness": stiffness,
            "n_bonds": NONMETALS.get(symbol, 12),
            "volume": volume,
            "mendeleev": row["Mendeleev number"],
        }
        for name, value in values.items():
            columns.setdefault(name, np.full(N_ROWS, np.nan))[number] = value
    return Elements(**columns)
