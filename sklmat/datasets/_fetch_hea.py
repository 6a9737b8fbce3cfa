"""`fetch_hea`: Fe-Ni-Co-Cr-Mn-Pd high-entropy alloys, relaxed cells and DFT labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.datasets._label_checks import check_magnetizations, check_volumes
from sklmat.downloads import fetch_files, registry

if TYPE_CHECKING:
    from sklmat.typing import Dataset, PathLike

FOLDER = "eftgan/HAE_Data"
TABLE = f"{FOLDER}/Out_labels/Database.csv"

MIXING = "mixing energy (eV/atom)"
MOMENT = "magnetic moment (μB/atom)"
TOTAL = "total energy (eV/atom)"
VOLUME = "volume (Å³/atom)"
#: Public target -> (column of ``frame``, column of the published table).
TARGETS = {
    "formation_energy": ("formation energy (eV/atom)", "Eform (eV/atom)"),
    "mixing_energy": (MIXING, "Emix (eV/atom)"),
    "total_energy": (TOTAL, "Etot (eV/atom)"),
    "magnetic_moment": (MOMENT, "Ms (mub/atom)"),
    "rmsd": ("rmsd (Å)", "rmsd (\\AA)"),
    "volume": (VOLUME, "V0 (A3/atom)"),
}
OTHER_COLUMNS = {
    "total energy of the cell (eV)": "Etot (eV)",
    "magnetic moment of the cell (μB)": "mb (mub/cell)",
    "magnetization (emu/g)": "Ms (emu/g)",
}

#: Energies of the elements (eV/atom) in the phase of the alloy, to which mixing energies refer:
#: fitted to Etot - Emix of the rows that are consistent (spread 3e-6 eV/atom).
MIXING_REFERENCES = {
    "bcc": {
        "Cr": -9.508306,
        "Mn": -8.846459,
        "Fe": -8.237163,
        "Co": -6.936528,
        "Ni": -5.373959,
        "Pd": -5.172155,
    },
    "fcc": {
        "Cr": -9.117554,
        "Mn": -8.912797,
        "Fe": -8.083090,
        "Co": -7.017806,
        "Ni": -5.468419,
        "Pd": -5.217930,
    },
}
#: Labels that differ by more are contradictory (rounding explains 1e-5 eV/atom, 0.005 μB).
ENERGY_TOLERANCE = 1e-3
MOMENT_TOLERANCE = 0.01
#: Formation energies (eV/atom) of twins that differ by as much disagree.
TWIN_TOLERANCE = 0.015

#: Files whose species line has a wrong element, and the correct line. In FeCrMn_sqsbcc ("Fe Mn Mn",
#: 12 atoms each) the third element is chromium: its distances to iron are shorter and its site
#: volumes vary more than for the second element, as for Cr and Mn in bcc Fe2CrMn, FeCr2Mn and
#: FeCrMn2, and the fcc cell of the same alloy lists Fe, Mn, Cr.
SPECIES = {
    "NiCoPd_sqsfcc": ["Ni", "Co", "Pd"],
    "FeCrMn_sqsbcc": ["Fe", "Mn", "Cr"],
    "Fe24Ni24Co24Cr24Mn64_sqsfcc": ["Fe", "Ni", "Co", "Cr", "Mn"],
}
CONTRADICTORY_ENERGY = "FeCrPd_sqsbcc"
SWAPPED_PAIR = ("Fe33Ni33Co33Cr28Mn33_sqsfcc", "Fe33Ni33Co33Cr28Mn33_sqsbcc")

#: Flag column -> description of the error.
ISSUES = {
    "wrong species line": "the species line of the file contradicts the name",
    "wrong mixing energy": "mixing energy contradicts total energy",
    "wrong moment per atom": "moment per atom contradicts the moment of the cell",
    "contradictory energies": "total and formation energy contradict each other",
    "maybe swapped with other phase": "the fcc and bcc cells have each other's volume",
    "volume differs from cell": "volume label and relaxed cell differ by more than 0.3 %",
    "wrong magnetization": "magnetization in emu/g contradicts the moment of the cell",
}
#: Flag column -> description of the correction with ``corrected=True``.
CORRECTIONS = {
    "wrong species line": "species of the name",
    "wrong mixing energy": "mixing energy recomputed from total energy",
    "wrong moment per atom": "moment per atom recomputed from the moment of the cell",
}

DESCR = f"""\
Fe-Ni-Co-Cr-Mn-Pd high-entropy alloys
-------------------------------------

364 alloys of two to five of the elements Fe, Ni, Co, Cr, Mn, Pd as special quasirandom structures
(16 to 160 atoms) on fcc (188) and bcc (176) lattices, relaxed by density functional theory. Rows
are in the order of the published table; 193 compositions, most of them as fcc and bcc.

Targets: formation_energy, mixing_energy, total_energy (eV/atom), magnetic_moment (μB/atom), rmsd
(Å, displacement from the ideal lattice), volume (Å³/atom). Formation energies refer to one energy
per element. Mixing energies refer to the elements in the phase of the alloy, so a model of mixing
energies needs the phase as an input. The cells are relaxed: volume and rmsd can be computed from
them, so the cells contain information that is not available for a candidate without a structure.

The phase is the lattice before relaxation. 120 cells (98 labelled bcc, 22 labelled fcc) are closer
to another lattice after relaxation, as `infer_lattice` finds and as their rmsd of 0.29 Å or more
confirms: NiFe3_sqsfcc is a bcc crystal, Ni3Co_sqsbcc an fcc crystal. The column keeps the published
label.

Errors in the published files, and their treatment with corrected=True (all rows are kept):

* Ten names write the elements in another order than the file: cells are matched by composition and
  phase. (Two more published cells have no labels and are not used.)
* Three cells have a wrong species line; their volume is the label's. The species of the name are
  put in: NiCoPd_sqsfcc (file: Ni Cr Pd), Fe24Ni24Co24Cr24Mn64_sqsfcc (file: ... Pd) and
  FeCrMn_sqsbcc (file: Fe Mn Mn; the third is taken to be Cr, because distances, site volumes and
  the order in the fcc file say so). Flag "wrong species line".
* Ten mixing energies contradict Etot, which is linear in composition after subtracting Emix, per
  phase: bcc FeNi2Cr, FeNiCr2, FeNiCoCrPd, FeNiCoCrMn, FeCrPd, Co3Mn, Fe2NiCr; fcc
  Fe31Ni31Co36Cr31Mn31, Fe31Ni31Co36Cr31Pd31, FeCoCrMn. Mixing energies are recomputed from Etot
  and the phase's elemental references, but for FeCrPd_sqsbcc. Flag "wrong mixing energy".
* FeCrPd_sqsbcc: Etot and Eform contradict each other by 58 meV/atom, and which is wrong cannot be
  told. All its energies stay as published. Flag "contradictory energies".
* The moment per atom is 1.5 times the cell's moment over the number of atoms in five bcc rows
  (FeCoPd, FeNiPd, NiCoPd, FeCrPd, NiCrPd). Moments per atom are recomputed from the cell's moment
  for all rows (which also removes their rounding). Flag "wrong moment per atom".
* Fe33Ni33Co33Cr28Mn33: the fcc and the bcc cell have each other's volume (2 % apart) and look
  swapped. They are not swapped. Flag "maybe swapped with other phase".
* Seven cells, those two among them, differ by more than 0.3 % in volume from the label: also
  NiMn_sqsbcc, Co3Cr_sqsbcc, FeNiPd2_sqsfcc, Fe15Ni15Co15Cr19_sqsfcc, Fe33Ni28Co33Cr33Mn33_sqsfcc.
  Left as they are. Flag "volume differs from cell".
* Magnetizations in emu/g (no target) are 1.5 times too large for NiPd_sqsfcc, NiPd_sqsbcc and
  CrPd_sqsbcc, and off by 2.6 to 3 % (another alloy's mass was used) for FeCr_sqsfcc, FeCr_sqsbcc,
  CoMn_sqsfcc, Ni2CrMn_sqsfcc, Ni2CrMn_sqsbcc. Left as they are. Flag "wrong magnetization".

Twins: the two cells of 78 compositions relax to one lattice. Their formation energies differ by
0.020 eV/atom and their moments by 0.154 μB/atom (root mean square), although their structures are
hardly different: other magnetic solutions, or relaxations that had not ended. Which of the two is
the better one cannot be told, so both are kept as they are. A model that cannot tell twins apart
has an RMSE of at least 0.0065 eV/atom over all rows. In 34 rows the twin's formation energy differs
by 0.015 eV/atom or more; the column "disagreeing twin" of `frame` names this twin, and is empty in
all other rows. `label_noise` computes all this.

In `frame`, flags mark the rows in both cases, "issues" and "correction" say it in words, and the
columns "... as published" hold the labels before correction. corrected=False changes nothing.

Source: https://github.com/yeebosun/EFTGAN ({TABLE.partition("/")[2]} and POSCAR files).
Reference: Sun, Hou, Tran, Lu, Li, Chen, Ni, npj Comput. Mater. 11, 54 (2025).
"""


@checked_arguments()
def fetch_hea(
    target: str | list[str] = "formation_energy",
    *,
    corrected: bool = True,
    data_home: PathLike | None = None,
    return_X_y: bool = False,
    download_if_missing: bool = True,
    verbose: bool = True,
) -> Dataset:
    """Load 364 relaxed Fe-Ni-Co-Cr-Mn-Pd alloys with DFT labels; download them on first use.

    Parameters
    ----------
    target : str or list of str, default="formation_energy"
        "formation_energy", "mixing_energy", "total_energy" (eV/atom), "magnetic_moment" (μB/atom),
        "rmsd" (Å) or "volume" (Å³/atom). A list gives one column for each target.
    corrected : bool, default=True
        Whether to correct the wrong labels and wrong species that are listed in ``DESCR``. The
        default is True, because models would otherwise be trained and tested on labels that are
        wrong by up to 0.65 eV/atom. ``False`` gives the files as published.
    data_home : str or Path, default=None
        Folder of the files, see `get_data_home`.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.
    download_if_missing : bool, default=True
        With ``False`` a missing file raises an error and is not downloaded.
    verbose : bool, default=True
        Show a progress bar while downloading.

    Returns
    -------
    dataset : sklearn.utils.Bunch
        Dictionary-like object with these attributes:

        data : list of 364 Structure
            In the order of the published table.
        target : ndarray of shape (364,) or (364, n_targets)
            One column for each name when `target` is a list.
        frame : DataFrame
            Name, phase, formula, all labels, the file, one flag column for each type of error, the
            columns "issues" and "correction", which describe the errors and their corrections in
            words, and the column "disagreeing twin": the name of the row with the same composition
            and the same lattice after relaxation, where its formation energy differs by
            0.015 eV/atom or more (34 rows), else "".
        target_names : list of str
            Names of the targets.
        DESCR : str
            Description of the data, with every known error.

    Raises
    ------
    OSError
        When files are missing and cannot be downloaded.
    ValueError
        When `target` is unknown.

    Notes
    -----
    The cells have 193 compositions, most of them as fcc and bcc. To estimate the error for new
    alloys, group the folds by composition.

    Report errors over all rows and, beside them, over the rows without a disagreeing twin:
    ``compare_estimators(..., label_noise=label_noise(X, y, disagreement=0.015))`` does both.

    References
    ----------
    .. [1] Sun, Hou, Tran, Lu, Li, Chen, Ni, npj Comput. Mater. 11, 54 (2025).

    Examples
    --------
    >>> from sklmat.datasets import fetch_hea
    >>> alloys = fetch_hea("magnetic_moment")  # doctest: +SKIP
    >>> alloys.target.shape, alloys.frame["phase"].value_counts().to_dict()  # doctest: +SKIP
    ((364,), {'fcc': 188, 'bcc': 176})
    """
    names = target_names(target, TARGETS)
    options = {"download_if_missing": download_if_missing, "verbose": verbose}
    cells = [path for path in registry() if path.startswith(FOLDER) and path != TABLE]
    table, *files = fetch_files([TABLE, *cells], data_home, **options)
    frame, rows = _read_table(table, cells)
    structures = [_read_cell(files[row], corrected) for row in rows]
    frame.insert(4, "n_atoms", [len(structure) for structure in structures])
    _flag(frame, structures, corrected)
    frame["disagreeing twin"] = _disagreeing_twins(frame, structures)
    return make_bunch(
        structures,
        frame,
        {name: TARGETS[name][0] for name in names},
        multi=not isinstance(target, str),
        descr=DESCR,
        return_X_y=return_X_y,
    )


def _composition(name):
    """``NiFe3_sqsfcc`` -> (composition, phase)."""
    from pymatgen.core import Composition

    formula, _, lattice = name.partition("_sqs")
    return Composition(formula), lattice


def _key(name):
    """Phase and atom fractions, which identify an alloy regardless of the order of its elements."""
    composition, phase = _composition(name)
    fractions = composition.fractional_composition.get_el_amt_dict()
    rounded = {(element, round(fraction, 6)) for element, fraction in fractions.items()}
    return phase, frozenset(rounded)


def _read_table(path, cells):
    """The published table with the columns of ``frame``, and each row's number in `cells`."""
    import pandas as pd

    table = pd.read_csv(path)
    by_key = {_key(_cell_name(cell)): number for number, cell in enumerate(cells)}
    rows = [by_key[_key(name)] for name in table["structures"]]
    compositions = [_composition(name)[0] for name in table["structures"]]
    columns = {
        "name": table["structures"],
        "phase": table["phase"],
        "n_components": [len(composition) for composition in compositions],
        "formula": [composition.reduced_formula for composition in compositions],
    }
    columns |= {column: table[published] for column, published in TARGETS.values()}
    columns |= {column: table[published] for column, published in OTHER_COLUMNS.items()}
    columns["file"] = [cells[row] for row in rows]
    return pd.DataFrame(columns), rows


def _cell_name(path):
    return path.rpartition("/POSCAR_")[2]


def _read_cell(path, corrected):
    """Read a POSCAR; replace a wrong species line when `corrected`."""
    from pymatgen.io.vasp import Poscar

    text = path.read_text("utf-8")
    if corrected and _cell_name(path.as_posix()) in SPECIES:
        lines = text.splitlines()
        lines[5] = " ".join(SPECIES[_cell_name(path.as_posix())])
        text = "\n".join(lines)
    return Poscar.from_str(text, read_velocities=False).structure


def _flag(frame, structures, corrected):
    """Add flags and descriptions of the errors to `frame`; correct them when `corrected`."""
    compositions = [_composition(name)[0] for name in frame["name"]]
    mixing = frame[TOTAL] - _mixing_reference(compositions, frame["phase"])
    moment = frame["magnetic moment of the cell (μB)"] / frame["n_atoms"]
    contradictory = frame["name"] == CONTRADICTORY_ENERGY
    flags = {
        "wrong species line": frame["file"].map(_cell_name).isin(SPECIES),
        "wrong mixing energy": (mixing - frame[MIXING]).abs() > ENERGY_TOLERANCE,
        "wrong moment per atom": (moment - frame[MOMENT]).abs() > MOMENT_TOLERANCE,
        "contradictory energies": contradictory,
        "maybe swapped with other phase": frame["name"].isin(SWAPPED_PAIR),
        "volume differs from cell": check_volumes(structures, frame[VOLUME])["flagged"],
        "wrong magnetization": check_magnetizations(
            compositions, frame["magnetization (emu/g)"], moment
        )["flagged"],
    }
    for column in (MIXING, MOMENT):
        frame[f"{column} as published"] = frame[column]
    if corrected:
        frame[MIXING] = mixing.where(~contradictory, frame[MIXING])
        frame[MOMENT] = moment
    for flag, values in flags.items():
        frame[flag] = values.to_numpy(dtype=bool)
    frame["issues"] = [_describe(row, ISSUES) for _, row in frame.iterrows()]
    frame["correction"] = [
        _describe(row, CORRECTIONS) if corrected else "" for _, row in frame.iterrows()
    ]


def _mixing_reference(compositions, phases):
    """Energy (eV/atom) of the pure elements in the lattice of each alloy."""
    references = []
    for composition, phase in zip(compositions, phases):
        energies = MIXING_REFERENCES[phase]
        amounts = composition.as_dict().items()
        total = sum(amount * energies[element] for element, amount in amounts)
        references.append(total / composition.num_atoms)
    return references


def _disagreeing_twins(frame, structures):
    """Name of the row of the same composition and relaxed lattice whose energy differs; else ""."""
    from sklmat.model_selection import label_noise

    energies = frame[TARGETS["formation_energy"][0]]
    # The lattice is found only where another row of the composition has another energy.
    rows = np.flatnonzero(energies.groupby(frame["formula"]).transform(np.ptp) >= TWIN_TOLERANCE)
    cells = [structures[row] for row in rows]
    noise = label_noise(cells, energies.iloc[rows], disagreement=TWIN_TOLERANCE)
    names = np.full(len(frame), "", dtype=object)
    for row, twins in zip(noise.disagreeing["row"], noise.disagreeing["twins"]):
        names[rows[row]] = "; ".join(frame["name"].iloc[rows[list(twins)]])
    return names


def _describe(row, descriptions):
    """Join the descriptions of the flags of a row."""
    flags = [flag for flag in descriptions if row[flag]]
    if row["contradictory energies"] and descriptions is CORRECTIONS:
        flags.remove("wrong mixing energy")
    return "; ".join(descriptions[flag] for flag in flags)
