"""What the type hints of several modules call by one name.

They are for annotations of your own functions, too: ``def clean(X: Structures) -> Structures``.
Nothing is imported for them when the program runs.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import polars as pl
    from ase import Atoms
    from pymatgen.core import Composition
    from pymatgen.core.structure import IStructure

#: A file or folder.
PathLike: TypeAlias = str | os.PathLike[str]

#: A seed, a generator that moves on with each use, or None for numpy's global generator.
RandomState: TypeAlias = Union[int, "np.random.RandomState", None]

#: Crystals: a list, tuple, 1-D object array or pandas Series of pymatgen ``Structure``, ASE
#: ``Atoms``, dicts made by ``Structure.as_dict()``, paths of files, or texts of files.
Structures: TypeAlias = Union[
    Sequence[Union["IStructure", "Atoms", dict[str, Any], str, Path]], "np.ndarray", "pd.Series"
]

#: Compositions: a sequence of pymatgen ``Composition``, formulas, or dicts of element to amount.
Compositions: TypeAlias = Union[
    Sequence[Union["Composition", str, Mapping[str, float]]], "np.ndarray", "pd.Series"
]

#: Numbers or labels, one for each crystal or row, in one or two dimensions.
ArrayLike: TypeAlias = Union[
    Sequence[Any], "np.ndarray", "pd.Series", "pd.DataFrame", "pl.Series", "pl.DataFrame"
]

#: A table of numbers: a DataFrame of pandas or polars, or what makes a 2-D array.
Table: TypeAlias = Union["pd.DataFrame", "pl.DataFrame", "np.ndarray", Sequence[Sequence[float]]]

#: Vectors of the elements: a name, a JSON file, or rows by symbol or atomic number.
ElementFeatures: TypeAlias = Union[str, os.PathLike[str], dict[Any, Any], "pd.DataFrame"]

#: Crystals and their targets: a scikit-learn ``Bunch``, or a tuple ``(structures, target)`` where
#: ``return_X_y=True``. No type says both, so that a checker takes it for anything.
Dataset: TypeAlias = Any
