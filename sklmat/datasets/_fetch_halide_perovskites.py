"""`fetch_halide_perovskites`: halide perovskites with four B sites and DFT labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.downloads import fetch_files

if TYPE_CHECKING:
    from sklmat.typing import Dataset, PathLike

TABLE = "perov_cgcnn/Data/Training data for CGCNN.xlsx"
TEMPLATE = "perov_cgcnn/DFT_training_data/POSCAR"

#: Public target -> column of ``frame``.
TARGETS = {
    "decomposition_energy": "decomposition energy (meV/atom)",
    "band_gap": "band gap (eV)",
    "band_type": "direct or metallic",
}
#: Column of the published sheet -> column of ``frame``.
COLUMNS = {
    "Elements (A.B1.n1.B2.n2.B3.n3.B4.n4.X)": "name",
    "deltaH_decomposition (meV/atom)": TARGETS["decomposition_energy"],
    "tau": "tolerance factor",
    "Band type": "band type",
    "Band gap (eV)": TARGETS["band_gap"],
}
SITES = ["A", "B1", "B2", "B3", "B4", "X"]
CLASSES = ["indirect", "direct or metallic"]

DESCR = """\
Halide perovskites A(B1 B2 B3 B4)X3
-----------------------------------

3,159 crystals of 20 atoms with labels from density functional theory. A is Cs, K or Rb; each of the
four B sites is Cd, Ge, Hg, Pb, Sn or Zn; X is Br, Cl or I. Rows are in the order of the published
sheet. All crystals have the lattice and the positions of one Pnma template (8.0 x 8.5 x 11.6 Å),
and only the species differ: a structure contains the composition and the arrangement of the B
elements, but not the relaxed geometry. 1,134 compositions: 675 in three arrangements of the B
sites, 324 in one, 135 in six. To estimate the error for new compositions, group the folds by
composition (`frame["formula"]`).

Targets: decomposition_energy (meV/atom), band_gap (eV), band_type (0 = indirect, 1 = direct,
metallic or semimetallic, as in the authors' classification; 2,603 and 556 rows).

Known properties of the published data (nothing is changed, no row is removed):

* Names such as Cs.Cd.Cd.Cd.Ge.Br are A, the four B sites in template order, and X; the header of
  the sheet describes another pattern.
* No values are missing and no names are repeated. An unnamed last column repeats the first 17 band
  gaps; it is ignored.
* 173 metallic rows have a band gap of 0; of the 13 semimetallic rows, seven have 0 and six up to 7
  meV. So 6 % of the gaps are zero or nearly zero.
* "tolerance factor" is the column tau of the sheet.

Source: https://github.com/KRICT-DATA/Perov_CGCNN
Reference: npj Comput. Mater. (2024), doi:10.1038/s41524-024-01270-1.
"""


@checked_arguments()
def fetch_halide_perovskites(
    target: str | list[str] = "decomposition_energy",
    *,
    data_home: PathLike | None = None,
    return_X_y: bool = False,
    download_if_missing: bool = True,
    verbose: bool = True,
) -> Dataset:
    """Load 3,159 halide perovskites with DFT labels; download them on first use.

    Parameters
    ----------
    target : str or list of str, default="decomposition_energy"
        "decomposition_energy" (meV/atom), "band_gap" (eV) or "band_type" (0 = indirect, 1 = direct
        or metallic). A list gives one column for each target.
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

        data : list of 3159 Structure
            Crystals of 20 atoms, in the order of the published sheet.
        target : ndarray of shape (3159,) or (3159, n_targets)
            One column for each name when `target` is a list. Integers if `target` is the band type.
        frame : DataFrame
            Name, formula, species of each site, and all labels.
        target_names : list of str
            If `target` is the band type, the names of its two classes.
        DESCR : str
            Description of the data.

    Raises
    ------
    OSError
        When files are missing and cannot be downloaded.
    ValueError
        When `target` is unknown.

    Notes
    -----
    The structures are not relaxed: all have the lattice and the positions of one template crystal,
    in which only the species differ. The authors of the data used CGCNN with these structures.

    References
    ----------
    .. [1] npj Comput. Mater. (2024), https://doi.org/10.1038/s41524-024-01270-1

    Examples
    --------
    >>> from sklmat.datasets import fetch_halide_perovskites
    >>> perovskites = fetch_halide_perovskites("band_type")  # doctest: +SKIP
    >>> perovskites.target_names  # doctest: +SKIP
    ['indirect', 'direct or metallic']
    """
    names = target_names(target, TARGETS)
    table, template = fetch_files(
        [TABLE, TEMPLATE], data_home, download_if_missing=download_if_missing, verbose=verbose
    )
    frame = _read_table(table)
    structures = _fill_template(template, frame[SITES].to_numpy())
    frame.insert(1, "formula", [structure.composition.reduced_formula for structure in structures])
    multi = not isinstance(target, str)
    classes = {"target_names": list(CLASSES)} if target == "band_type" else {}
    return make_bunch(
        structures,
        frame,
        {name: TARGETS[name] for name in names},
        multi=multi,
        descr=DESCR,
        return_X_y=return_X_y,
        **classes,
    )


def _read_table(path):
    import pandas as pd

    table = pd.read_excel(path, usecols=list(COLUMNS)).rename(columns=COLUMNS)
    frame = table[list(COLUMNS.values())].copy()
    frame[SITES] = frame["name"].str.split(".", expand=True)
    frame[TARGETS["band_type"]] = (frame["band type"] != "Indirect").astype(int)
    return frame


def _fill_template(path, species):
    """Create one structure per row of `species`, with the lattice and positions of the template."""
    from pymatgen.core import Element, Structure

    template = Structure.from_file(path)
    # Order of the template: four A, one of each B, twelve X.
    by_site = species[:, [0, 0, 0, 0, 1, 2, 3, 4, *[5] * 12]]
    # One Element per symbol: creating 60,000 Element objects would take most of the time.
    element = {symbol: Element(symbol) for symbol in set(species.ravel())}
    return [
        Structure(template.lattice, [element[symbol] for symbol in row], template.frac_coords)
        for row in by_site
    ]
