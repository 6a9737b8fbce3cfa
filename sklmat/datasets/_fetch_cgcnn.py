"""`fetch_cgcnn_sample`, `..._atom_init`, `..._checkpoint`: files of the original CGCNN."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sklmat.argument_checks import checked_arguments
from sklmat.datasets._bunch import make_bunch, target_names
from sklmat.downloads import cgcnn_atom_init, cgcnn_checkpoint, fetch_files, registry
from sklmat.structures import check_structures

if TYPE_CHECKING:
    from sklmat.typing import Dataset, PathLike

SAMPLES = "cgcnn/data/sample-{}"
TARGETS = {"regression": "number", "classification": "class"}

DESCR = """\
Sample crystals of the original CGCNN
-------------------------------------

Ten crystals from the Crystallography Open Database (2 to 12 atoms: NaCl, KCl, ZnS, BaTiO3, TiO2,
CsCl, Ge, Si and carbon twice) with made-up labels: the numbers 1 to 10 for regression, 0 or 1 for
classification.
It is meant for trials and for comparing implementations; the labels have no physical meaning.

Source: https://github.com/txie-93/cgcnn (MIT licence)
Reference: Xie, Grossman, Phys. Rev. Lett. 120, 145301 (2018), doi:10.1103/PhysRevLett.120.145301.
"""


@checked_arguments()
def fetch_cgcnn_sample(
    target: Literal["regression", "classification"] = "regression",
    *,
    data_home: PathLike | None = None,
    return_X_y: bool = False,
    download_if_missing: bool = True,
    verbose: bool = True,
) -> Dataset:
    """Load the ten sample crystals of the original CGCNN; download them on first use.

    Parameters
    ----------
    target : {"regression", "classification"}, default="regression"
        Which of the two sets of made-up labels to load.
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

        data : list of 10 Structure
            The crystals.
        target : ndarray of shape (10,)
            Integers for classification.
        frame : DataFrame
            Id (Crystallography Open Database), formula, n_atoms and the label.
        target_names : list of str
            Name of the target; for classification, the names of both classes.
        atom_init : Path
            The element table of the original CGCNN.
        DESCR : str
            Description of the data.

    Raises
    ------
    OSError
        When files are missing and cannot be downloaded.
    ValueError
        When `target` is unknown.

    References
    ----------
    .. [1] Xie, Grossman, Phys. Rev. Lett. 120, 145301 (2018),
       https://doi.org/10.1103/PhysRevLett.120.145301

    Examples
    --------
    >>> from sklmat.datasets import fetch_cgcnn_sample
    >>> crystals = fetch_cgcnn_sample()  # doctest: +SKIP
    >>> crystals.frame["formula"].head(3).tolist()  # doctest: +SKIP
    ['NaCl', 'KCl', 'ZnS']
    """
    import pandas as pd

    if not isinstance(target, str):
        raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {target!r}")
    column = TARGETS[target_names(target, TARGETS)[0]]
    folder = SAMPLES.format(target)
    paths = [path for path in registry() if path.startswith(folder)]
    options = {"download_if_missing": download_if_missing, "verbose": verbose}
    files = dict(zip(paths, fetch_files(paths, data_home, **options)))
    table = pd.read_csv(files[f"{folder}/id_prop.csv"], names=["id", column], dtype={"id": str})
    structures = check_structures([files[f"{folder}/{name}.cif"] for name in table["id"]]).tolist()
    table.insert(1, "formula", [structure.composition.reduced_formula for structure in structures])
    table.insert(2, "n_atoms", [len(structure) for structure in structures])
    return make_bunch(
        structures,
        table,
        {target: column},
        multi=False,
        descr=DESCR,
        return_X_y=return_X_y,
        atom_init=files[f"{folder}/atom_init.json"],
    )


@checked_arguments()
def fetch_cgcnn_atom_init(
    *, data_home: PathLike | None = None, download_if_missing: bool = True, verbose: bool = True
) -> Path:
    """Return the path of the element table of the original CGCNN; download it on first use.

    Parameters
    ----------
    data_home : str or Path, default=None
        Folder of the files, see `get_data_home`.
    download_if_missing : bool, default=True
        With ``False`` a missing file raises an error and is not downloaded.
    verbose : bool, default=True
        Show a progress bar while downloading.

    Returns
    -------
    path : Path
        ``atom_init.json``: a dict from atomic number to 92 zeros and ones.

    Raises
    ------
    OSError
        When the file is missing and cannot be downloaded.

    Examples
    --------
    >>> from sklmat.datasets import fetch_cgcnn_atom_init
    >>> fetch_cgcnn_atom_init().name  # doctest: +SKIP
    'atom_init.json'
    """
    options = {"download_if_missing": download_if_missing, "verbose": verbose}
    return cgcnn_atom_init(data_home, **options)


@checked_arguments()
def fetch_cgcnn_checkpoint(
    name: str,
    *,
    data_home: PathLike | None = None,
    download_if_missing: bool = True,
    verbose: bool = True,
) -> Path:
    """Return the path of a network trained by the authors of CGCNN; download it on first use.

    Parameters
    ----------
    name : str
        "band-gap" (eV), "bulk-moduli" (log10 of GPa), "efermi" (eV), "final-energy-per-atom"
        (eV/atom), "formation-energy-per-atom" (eV/atom), "poisson-ratio",
        "semi-metal-classification" or "shear-moduli" (log10 of GPa).
    data_home : str or Path, default=None
        Folder of the files, see `get_data_home`.
    download_if_missing : bool, default=True
        With ``False`` a missing file raises an error and is not downloaded.
    verbose : bool, default=True
        Show a progress bar while downloading.

    Returns
    -------
    path : Path
        A ``.pth.tar`` file with the published content (its sha256 is verified). It is a pickle:
        read it with `sklmat.estimators.load_cgcnn_checkpoint`, which executes no code from the
        file.

    Raises
    ------
    OSError
        When the file is missing and cannot be downloaded.
    ValueError
        When there is no network with this name.

    References
    ----------
    .. [1] Xie, Grossman, Phys. Rev. Lett. 120, 145301 (2018),
       https://doi.org/10.1103/PhysRevLett.120.145301

    Examples
    --------
    >>> from sklmat.datasets import fetch_cgcnn_atom_init, fetch_cgcnn_checkpoint
    >>> from sklmat.estimators import load_cgcnn_checkpoint  # doctest: +SKIP
    >>> path = fetch_cgcnn_checkpoint("band-gap")  # doctest: +SKIP
    >>> network = load_cgcnn_checkpoint(path, atom_init=fetch_cgcnn_atom_init())  # doctest: +SKIP
    """
    options = {"download_if_missing": download_if_missing, "verbose": verbose}
    return cgcnn_checkpoint(name, data_home, **options)
