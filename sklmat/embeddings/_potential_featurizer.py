"""`PotentialFeaturizer`: energy, moments and vectors of a pre-trained potential as a table."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Sequence, Set
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from sklearn.utils._param_validation import Hidden, StrOptions
from sklearn.utils.validation import check_is_fitted

from sklmat.argument_checks import check_names
from sklmat.elements import N_ROWS, element_symbols, element_table
from sklmat.embeddings._derived_energies import (
    STRAIN,
    atomic_fractions,
    energy_references,
    pressures_and_moduli,
    scaled_crystals,
)
from sklmat.embeddings._evaluate_crystals import evaluate_crystals, formula_of, rows_of_atoms
from sklmat.embeddings._pca import fit_pca
from sklmat.embeddings._pool_atoms import POOLS, pool_atoms
from sklmat.embeddings._potentials import MPTRJ, PotentialModel, open_potential
from sklmat.exceptions import PretrainingOverlapWarning
from sklmat.features import TableFeaturizer, output_table
from sklmat.fitted_state import unchanged_by_failure
from sklmat.graphs import GraphCache, open_cache
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.recorded_warnings import frames_inside
from sklmat.structures import convert_structures, crystal_arrays, is_graphs
from sklmat.training import check_device
from sklmat.unseen_elements import find_unseen_elements, unseen_element_errors

if TYPE_CHECKING:
    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import PathLike, Structures

_Column = Literal["energy", "relative energy", "pressure", "bulk modulus", "moments", "embedding"]
_Pool = Literal["mean", "sd"]
#: Column -> output of a potential from which it is computed.
_OUTPUTS = {
    "energy": "energy",
    "relative energy": "energy",
    "pressure": "energy",
    "bulk modulus": "energy",
    "moments": "moments",
    "embedding": "embedding",
}
_FROM_VOLUMES = {"pressure", "bulk modulus"}
_OF_ATOMS = {"moments", "embedding"}
_UNITS = {
    "energy": "eV/atom",
    "relative energy": "eV/atom",
    "pressure": "GPa",
    "bulk modulus": "GPa",
}
#: Ids of the Materials Project.
_MATERIALS_PROJECT_ID = re.compile(r"(mp|mvc)-\d+")
#: Ids that a warning shows.
_MAX_SHOWN = 5


class PotentialFeaturizer(TableFeaturizer):
    """Transformer to what a pre-trained universal potential computes for crystals.

    A universal potential is a network that was trained on the energies, forces and magnetic moments
    of hundreds of thousands of calculated crystals. The table has one row per crystal. Its columns
    are, in the order of `columns`:

    - "energy": the energy per atom, as the potential gives it, ``chgnet energy (eV/atom)``;
    - "relative energy": the same minus that of the elements, ``chgnet relative energy (eV/atom)``:
      one energy for each element, weighted by the atomic fractions, is fitted to the energies of
      the rows of `fit`;
    - "pressure" and "bulk modulus": the first and second derivative of the energy by the volume,
      ``chgnet pressure (GPa)`` and ``chgnet bulk modulus (GPa)``, from three volumes;
    - "moments": statistics of the magnetic moments of the atoms, ``chgnet moment mean (μB)`` and
      ``chgnet moment sd (μB)``;
    - "embedding": statistics of the vectors that the network has for the atoms,
      ``chgnet embedding 0 mean``, ``chgnet embedding 1 mean``, ...

    The transformer is not supervised: `fit` does not use `y`. It fits nothing but the principal
    components (with `n_components`), the energies of the elements (for "relative energy") and the
    list of elements (with `per_element`).

    **The training set of a potential may hold the crystals that you describe, which no split
    repairs**: scores on them can be better than on new crystals. See *Notes* for what each
    potential was trained on.

    Parameters
    ----------
    model : {"chgnet", "sevennet"} or callable, default="chgnet"
        "chgnet" is CHGNet 0.3.0 [1]_, "sevennet" is SevenNet-0 [2]_, which has no moments. Their
        weights are in their packages, ``pip install "sklmat[potentials]"``; nothing is downloaded.
        A callable that can be called without arguments makes a calculator of ASE: a class such as
        ``ase.calculators.emt.EMT``, or ``functools.partial(MACECalculator, model_paths="file")``.
        Any other callable is a function of one structure, see `PotentialModel`.
    columns : sequence of str, or str, default=("energy", "moments", "embedding")
        Which of the columns above the table has, in this order.
    pool : sequence of {"mean", "sd"} or one of them, default=("mean", "sd")
        Statistics over the atoms of a crystal. The standard deviation divides by their number.
    per_element : bool, default=False
        Whether to take these statistics over the atoms of each element seen in `fit`
        (``chgnet moment mean of Fe (μB)``), instead of all atoms. They are zero if the crystal does
        not hold the element.
    n_components : int or None, default=None
        Number of columns for the embedding, ``chgnet embedding component 0``, ...: the leading
        principal components of its columns over the rows of `fit`. There are fewer if there are few
        rows: at most one less than rows, and none with a standard deviation below 1e-5 of the
        length of the vectors, which is a rounding error. None keeps the columns themselves.
    cache : None, int, path or GraphCache, default=None
        Cache of the outputs. An int is the number of crystals that are kept in memory for this
        transformer and its clones; the least recently used are removed first. A path is a folder
        that processes and sessions can share. A `GraphCache` has a limit in bytes, in memory or in
        a folder. The key is the content of a crystal and the model, so folds and candidates of a
        grid search use the same outputs, whatever their other parameters are. *Notes* says how
        models of your own are told apart.
    device : str, default="auto"
        Device of "chgnet" and "sevennet". "auto" is CUDA if it is available, and the CPU otherwise.
    n_jobs : int, default=None
        Number of processes; None means one, except within a ``joblib.parallel_config``. Each uses
        one thread of torch. The result does not depend on this number. With a GPU, one process is
        best.
    verbose : bool, default=False
        Whether to show a progress bar.

    Attributes
    ----------
    training_data_ : str or None
        What the potential was trained on; None if this is not known.
    elements_ : list of str
        Symbols seen in `fit`, by atomic number.
    energy_references_ : dict of str to float or None
        Energy of each element (eV/atom); None without "relative energy".
    pca_ : PCA or None
        Principal components of the embedding; None without `n_components`, or if the vectors of all
        rows of `fit` are equal.
    layout_ : list
        Name of the potential and the parameters of `fit` that say which columns there are.
    feature_names_ : list of str
        Names of the columns.
    n_features_out_ : int
        Number of columns.

    Warns
    -----
    PretrainingOverlapWarning
        In `fit`, if the potential was trained on the Materials Project, and the index of a Series
        or the ``properties`` of a ``Structure`` hold ids such as ``mp-149`` or ``mvc-12``.

    See Also
    --------
    GraphEmbedding : Vectors of a network that is trained on your own data.
    StructureFeaturizer : A table that no network makes.

    Notes
    -----
    The energy is that of the potential: its zero, the isolated atoms of the training set's
    calculations, and its corrections are not those of your labels. To learn the difference to
    formation energies, use `DeltaRegressor`, which fits element references on the training rows.

    For "relative energy", the energies of the elements are found by ridge regression, as in
    `DeltaRegressor`. `transform` raises an error for an element that no row of `fit` has. Most of
    "energy" is due to the composition, so that a Gaussian process makes better use of
    "relative energy".

    For "pressure" and "bulk modulus", the potential is evaluated at volumes that are 6 % smaller
    and larger, too; the atoms keep their fractional coordinates. The modulus is therefore that of
    a crystal whose atoms do not relax further, and is negative if the crystal is not stable.

    The moments of CHGNet are absolute values; those of a calculator are as it gives them. The
    vectors of CHGNet (64 numbers) are those from which it computes the moments, after its third
    layer; those of SevenNet-0 (128 numbers) are the ones from which it computes the energies. None
    of them change when a crystal is rotated.

    CHGNet and SevenNet-0 were trained on MPtrj [1]_: relaxation trajectories of cells of the
    Materials Project, calculated with GGA and GGA+U, as of September 2022. It has no Po, At, Rn,
    Fr, Ra, nor elements beyond Pu; rows with them raise an error. An atom without neighbours within
    the cutoff (6 Å in CHGNet) is valid.

    CHGNet is evaluated on batches of crystals of similar size, in single precision. A row depends
    on the other rows of its batch by rounding errors only (about 1e-6 of a value). Moments and
    embeddings are kept in single precision, energies in double precision.

    A cache tells models by their name and by the content of the file of their weights. Of your own
    callables, functions and classes are told apart within one process, also with arguments given by
    ``functools.partial`` if these are numbers, strings or paths; this is enough for a cache in
    memory. For a folder, and for other objects, give the callable an attribute ``cache_key`` with a
    text that changes whenever its results do: ``model.cache_key = "mace-mp-0b3"``.

    `transform` returns a pandas DataFrame (with the index of `X` if it is a Series), or an array
    after ``set_output(transform="default")``.

    References
    ----------
    .. [1] B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023), :doi:`10.1038/s42256-023-00716-3`
    .. [2] Y. Park, J. Kim, S. Hwang, S. Han, J. Chem. Theory Comput. 20, 4857 (2024),
       :doi:`10.1021/acs.jctc.4c00190`

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from sklmat import PotentialFeaturizer
    >>> crystals = [bulk("Cu"), bulk("Cu", "bcc", a=2.87), bulk("Al")]
    >>> PotentialFeaturizer(EMT, columns="energy").fit_transform(crystals).round(3)
       EMT energy (eV/atom)
    0                -0.006
    1                 0.027
    2                -0.002
    """

    _parameter_constraints = {
        "model": [StrOptions({"chgnet", "sevennet"}), callable],
        "columns": ["array-like", StrOptions(set(_OUTPUTS))],
        "pool": ["array-like", StrOptions(set(POOLS))],
        "per_element": ["boolean"],
        "n_components": [None, Interval(Integral, 1, None, closed="left")],
        "cache": [None, Interval(Integral, 1, None, closed="left"), str, os.PathLike, GraphCache],
        "device": [str, Hidden(torch.device)],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        model: Literal["chgnet", "sevennet"] | Callable[[], Any] | PotentialModel = "chgnet",
        *,
        columns: Sequence[_Column] | _Column = ("energy", "moments", "embedding"),
        pool: Sequence[_Pool] | _Pool = ("mean", "sd"),
        per_element: bool = False,
        n_components: int | None = None,
        cache: int | PathLike | GraphCache | None = None,
        device: str = "auto",
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.columns = columns
        self.pool = pool
        self.per_element = per_element
        self.n_components = n_components
        self.cache = cache
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose

    @unchanged_by_failure
    def fit(self, X: Structures | CrystalGraphs, y: object = None) -> Self:
        """Evaluate the potential, and fit what depends on the rows.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            See `check_structures`.
        y : None
            Ignored.

        Returns
        -------
        self : PotentialFeaturizer
            The fitted estimator.

        Raises
        ------
        InvalidStructureError
            When a crystal is invalid, has an element on which the potential was not trained, or
            when the model raises an error for it or returns a value that is not finite.
        ImportError
            When the package of the model is not installed.
        ValueError
            When the model does not have one of `columns`, or when a cache cannot tell it from
            other models.
        """
        self._fit(X)
        return self

    @unchanged_by_failure
    def fit_transform(self, X: Structures | CrystalGraphs, y: object = None) -> pd.DataFrame:
        """Same result as ``fit(X).transform(X)``, but the potential is evaluated only once.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            Training crystals.
        y : None
            Ignored.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.
        """
        return output_table(self, self._fit(X), X)

    def transform(self, X: Structures | CrystalGraphs) -> pd.DataFrame:
        """Evaluate the potential.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            The crystals.

        Returns
        -------
        table : pandas.DataFrame or ndarray of shape (C, F)
            One row for each crystal, with the columns of ``get_feature_names_out``.

        Raises
        ------
        InvalidStructureError
            As in `fit`, and with `per_element` or "relative energy" when a crystal has an element
            that no row of `fit` has.
        ValueError
            When parameters that determine the columns were changed after `fit`.
        """
        check_is_fitted(self)
        potential = open_potential(self.model, check_device(self.device))
        if self._layout(potential) != self.layout_:
            raise ValueError(
                "model, columns, pool, per_element or n_components was changed after fit; call fit "
                "again"
            )
        structures, crystals = _read(X)
        if not crystals:
            return output_table(self, np.empty((0, self.n_features_out_)), X)
        if self._has_elements() or self.energy_references_ is not None:
            self._refuse_unseen_elements(crystals, structures)
        outputs, energies = self._evaluate(potential, structures, crystals)
        return output_table(self, self._assemble(self._pooled(crystals, outputs, energies)), X)

    def _fit(self, X):
        """Fit, and return the table of the rows of `X`."""
        self._validate_params()
        check_names(columns=self.columns, pool=self.pool)
        columns = self._chosen("columns", _OUTPUTS)
        self._chosen("pool", POOLS)
        if self.n_components is not None and "embedding" not in columns:
            raise ValueError("n_components needs 'embedding' in columns; leave it None")
        potential = open_potential(self.model, check_device(self.device))
        structures, crystals = _read(X)
        if not crystals:
            raise ValueError("X holds no crystals to fit on")
        outputs, energies = self._evaluate(potential, structures, crystals)
        self.training_data_ = potential.training_data
        if potential.training_data == MPTRJ:
            _warn_of_known_crystals(X, structures, potential.name)
        numbers = np.unique(np.concatenate([crystal.atomic_numbers for crystal in crystals]))
        self.elements_ = element_symbols(numbers)
        self.energy_references_ = None
        if "relative energy" in columns:
            references = energy_references(crystals, energies["given"])
            self.energy_references_ = dict(zip(self.elements_, references[numbers].tolist()))
        pooled = self._pooled(crystals, outputs, energies)
        self.pca_ = None
        if self.n_components is not None:
            self.pca_ = fit_pca(pooled["embedding"], self.n_components)
        self.layout_ = self._layout(potential)
        self.feature_names_ = self._names(potential.name, pooled)
        self.n_features_out_ = len(self.feature_names_)
        return self._assemble(pooled)

    def _chosen(self, name, known):
        """Values of the parameter `columns` or `pool`."""
        given = getattr(self, name)
        chosen = [given] if isinstance(given, str) else list(given)
        is_known = all(isinstance(value, str) and value in known for value in chosen)
        # The order of a set differs from process to process.
        if not chosen or not is_known or len(set(chosen)) < len(chosen) or isinstance(given, Set):
            raise ValueError(
                f"{name} must be one or several of {list(known)}, each once, in a list or tuple; "
                f"got {given}"
            )
        return chosen

    def _layout(self, potential):
        """Everything that says which columns there are, besides the rows of `fit`."""
        columns, pool = self._chosen("columns", _OUTPUTS), self._chosen("pool", POOLS)
        return [potential.name, columns, pool, self.per_element, self.n_components]

    def _has_elements(self):
        """Whether there are columns for each element."""
        return self.per_element and bool(_OF_ATOMS & set(self._chosen("columns", _OUTPUTS)))

    def _refuse_unseen_elements(self, crystals, structures):
        """Raise for the first crystal with an element that has no columns."""
        rows, numbers = rows_of_atoms(crystals)
        seen = element_table(self.elements_)["atomic number"]
        unseen = find_unseen_elements(rows, numbers, seen)
        if unseen:
            raise unseen_element_errors(
                unseen,
                lambda row: formula_of(structures[row]),
                self.elements_,
                "because each element has columns of its own, or use per_element=False"
                if self._has_elements()
                else "because each element has an energy of its own; or use 'energy' in columns "
                "in place of 'relative energy'",
            )[0]

    def _evaluate(self, potential, structures, crystals):
        """Outputs of all crystals, and their energies at three volumes."""
        columns = self._chosen("columns", _OUTPUTS)
        options = {
            "cache": self._open_cache(potential),
            "n_jobs": self.n_jobs,
            "verbose": self.verbose,
        }
        names = list(dict.fromkeys(_OUTPUTS[column] for column in columns))
        outputs = evaluate_crystals(potential, structures, crystals, names, **options)
        energies = {}
        if "energy" in names:
            energies["given"] = _energies(outputs)
        if _FROM_VOLUMES & set(columns):
            for name, factor in (("smaller", 1 - STRAIN), ("larger", 1 + STRAIN)):
                scaled = scaled_crystals(structures, crystals, factor)
                found = evaluate_crystals(potential, structures, scaled, ["energy"], **options)
                energies[name] = _energies(found)
        return outputs, energies

    def _open_cache(self, potential=None):
        """Return the cache of the parameter `cache`, which clones share."""
        opened = open_cache(self.cache, getattr(self, "_opened_cache", None))
        if opened is not self.cache:
            self._opened_cache = opened
        if opened is not None and potential is not None:
            is_folder = opened.folder is not None
            if potential.identity is None or (is_folder and not potential.is_named):
                raise ValueError(
                    f"{'a folder' if is_folder else 'a cache'} needs a name that tells this model "
                    "from others: set its attribute cache_key to a text that changes whenever its "
                    f"results do, or cache=None; the model is {self.model!r}"
                )
        return opened

    def __sklearn_clone__(self):
        clone = super().__sklearn_clone__()
        # A clone has the same cache, also if this transformer has not used it yet.
        if isinstance(self.cache, Integral | str | os.PathLike):
            clone._opened_cache = self._open_cache()
        return clone

    def _pooled(self, crystals, outputs, energies):
        """Values of each of `columns` before the PCA, shapes (C, F)."""
        columns = self._chosen("columns", _OUTPUTS)
        groups, numbers = rows_of_atoms(crystals)
        n_elements = 1
        if self._has_elements():
            n_elements = len(self.elements_)
            places = np.zeros(N_ROWS, dtype=int)
            places[element_table(self.elements_)["atomic number"]] = np.arange(n_elements)
            groups = groups * n_elements + places[numbers]
        values = self._from_energies(crystals, energies)
        for name in _OF_ATOMS & set(columns):
            of_atoms = np.concatenate([getattr(output, name) for output in outputs])
            statistics = pool_atoms(
                of_atoms.reshape(len(groups), -1),
                groups,
                len(crystals) * n_elements,
                self._chosen("pool", POOLS),
            )
            values[name] = np.hstack([block.reshape(len(crystals), -1) for block in statistics])
        return {name: values[name].reshape(len(crystals), -1) for name in columns}

    def _from_energies(self, crystals, energies):
        """Values of the columns that depend on energies only, shapes (C,)."""
        values = {}
        if "given" in energies:
            values["energy"] = energies["given"]
        if self.energy_references_ is not None:
            references = np.zeros(N_ROWS)
            symbols = list(self.energy_references_)
            references[element_table(symbols)["atomic number"]] = list(
                self.energy_references_.values()
            )
            values["relative energy"] = energies["given"] - atomic_fractions(crystals) @ references
        if "smaller" in energies:
            values["pressure"], values["bulk modulus"] = pressures_and_moduli(crystals, **energies)
        return values

    def _names(self, potential, pooled):
        """Names of the columns, with the name of the potential."""
        of_elements = [f" of {symbol}" for symbol in self.elements_] if self.per_element else [""]
        statistics = [
            (statistic, of_element)
            for statistic in self._chosen("pool", POOLS)
            for of_element in of_elements
        ]
        names = []
        for output, values in pooled.items():
            if output in _UNITS:
                names.append(f"{potential} {output} ({_UNITS[output]})")
            elif output == "moments":
                names += [f"{potential} moment {one}{of} (μB)" for one, of in statistics]
            elif self.n_components is not None:
                n_kept = 0 if self.pca_ is None else self.pca_.n_components_
                names += [f"{potential} embedding component {k}" for k in range(n_kept)]
            else:
                width = values.shape[1] // len(statistics)
                names += [
                    f"{potential} embedding {k} {one}{of}"
                    for one, of in statistics
                    for k in range(width)
                ]
        return names

    def _assemble(self, pooled):
        """Join the columns to one array, with the principal components of the embedding."""
        if self.n_components is not None:
            embedding = pooled["embedding"]
            pooled["embedding"] = (
                embedding[:, :0] if self.pca_ is None else self.pca_.transform(embedding)
            )
        return np.hstack(list(pooled.values()))


def _energies(outputs):
    return np.array([output.energy for output in outputs], dtype=np.float64)


def _read(X):
    """Structures and their arrays; distances between atoms are not checked."""
    if is_graphs(X):
        return X.to_structures(), X.to_arrays()
    structures = convert_structures(X)
    return structures, crystal_arrays(structures)


def _warn_of_known_crystals(X, structures, name):
    """Warn if rows have ids of the Materials Project."""
    labels = list(X.index) if isinstance(X, pd.Series) else [None] * len(structures)
    found = []
    for label, structure in zip(labels, structures):
        values = [label, *getattr(structure, "properties", {}).values()]
        found += [v for v in values if isinstance(v, str) and _MATERIALS_PROJECT_ID.match(v)][:1]
    if found:
        more = ", ..." if len(found) > _MAX_SHOWN else ""
        warnings.warn(
            f"{len(found)} of {len(structures)} rows have ids of the Materials Project "
            f"({', '.join(found[:_MAX_SHOWN])}{more}), on which {name} was trained: scores on them "
            "can be better than on new crystals, and no split of the rows changes this",
            PretrainingOverlapWarning,
            stacklevel=frames_inside(),
        )
