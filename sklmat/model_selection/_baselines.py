"""`baselines`: the simple models that a new one should be compared with."""

from __future__ import annotations

from importlib.util import find_spec
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, VotingClassifier
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import ConstantKernel, Matern
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PolynomialFeatures,
    StandardScaler,
)

from sklmat.argument_checks import checked_arguments
from sklmat.compositions import MIXING_ENTROPY, element_of_column, holds_compositions
from sklmat.features import CompositionFeaturizer, StructureFeaturizer, infer_lattice
from sklmat.gaussian_processes import (
    OrderingClassifier,
    OrderingRegressor,
    RobustGaussianProcessRegressor,
    share_parent,
)
from sklmat.model_selection._group_labels import amounts_of_elements
from sklmat.structures import is_graphs

if TYPE_CHECKING:
    from sklmat.typing import Compositions, Structures

# Chosen by examples/benchmarks/tune_baselines.py: slow learning with sampled columns suits few rows
# and many columns.
_BOOSTING: dict[str, Any] = {
    "n_estimators": 1000,
    "learning_rate": 0.03,
    "max_depth": 4,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
}
# The time of a Gaussian process grows with the cube of the number of rows; the classifier needs
# many factorisations of its matrix for each step of its search.
_MAX_PROCESS_ROWS = {"regression": 3000, "classification": 1000}
_OPTIMIZER_ROWS = 500
#: Up to this number of elements, `CompositionFeaturizer` has a column for each.
_MAX_FRACTIONS = 12


@checked_arguments()
def baselines(
    task: Literal["regression", "classification"],
    X: Structures | Compositions | None = None,
    *,
    random_state: int = 0,
) -> dict[str, BaseEstimator]:
    """Make simple models with which to compare your own.

    Parameters
    ----------
    task : {"regression", "classification"}
    X : sequence of structures or compositions, default=None
        The data, by which the models are chosen. Without it, there are only models that can be
        fitted to any crystals.
    random_state : int, default=0
        Seed of all models.

    Returns
    -------
    models : dict of str to estimator
        Unfitted estimators, from simple to elaborate. In each, everything is fitted inside:

        - "mean", or "most frequent": ignores the input.
        - "linear, composition": ridge regression, or logistic regression, on the standardised table
          of `CompositionFeaturizer`.
        - "cubic ridge, composition": ridge regression on all products of up to three fractions of
          elements. Only for regression, if `X` has at most 12 elements.
        - "random forest, composition": the usual baseline in materials science [1]_, on the table
          of `CompositionFeaturizer`.
        - "XGBoost, composition": on the same table.
        - "Gaussian process, composition": a Matérn kernel on the fractions of at most 12 elements,
          otherwise on the whole table; only if `X` is not too long (see Notes).

        And if `X` does not hold compositions or formulas:

        - "XGBoost, composition and structure": with the columns of `StructureFeaturizer` too.
        - "Gaussian process, composition and volume": with the group "volume" of
          `StructureFeaturizer` and the lattice that `infer_lattice` finds; only if `X` is not too
          long. Undefined volumes (of slabs among crystals) are replaced by the mean.
        - "robust Gaussian process, composition and volume": the same with noise that has a
          Student-t distribution, `RobustGaussianProcessRegressor`; only for regression.
        - "ordering model": `OrderingRegressor` or `OrderingClassifier`, if all crystals are
          orderings of one parent crystal, such as alloys on the sites of one supercell, and each
          element is on its sites in five crystals or more. A parent is not looked for if the sum
          of the squared numbers of atoms is above 4 million.
        - "Gaussian process, CHGNet": with the mean vectors of CHGNet too, which have a kernel of
          their own, see `PotentialFeaturizer`; if ``sklmat[potentials]`` is installed and `X` is
          not too long.

    Raises
    ------
    ValueError
        When `task` is neither of the two, or `random_state` is no integer.
    TypeError
        When `X` is a `CrystalGraphs`: the models need the structures.
    InvalidStructureError
        When a row of `X` is neither a crystal nor a composition.

    See Also
    --------
    search_space : Distributions of the parameters of these models, and of others.

    Notes
    -----
    The time of Gaussian processes grows with the cube of the number of rows. They are left out
    beyond 3000 rows for regression, 1000 for classification. An ordering model takes minutes for
    a few thousand rows, and CHGNet a few tenths of a second for a large cell on a CPU, once for
    each crystal and process. Remove what takes too long from the dict.

    The settings of XGBoost and the columns of the processes were chosen by ``tune_baselines.py`` of
    the benchmarks, on generated alloys, crystals of mixed chemistry and another split of the
    perovskites than those on which the user guide reports errors. The number of trees is fixed: for
    a few hundred rows, this was more accurate than early stopping with `EarlyStoppingRegressor`.

    Elements that no training row has do not stop a model: if the table has columns of elements,
    there is an `ExtrapolationWarning`. The exception is the ordering model, which cannot predict a
    crystal with an element on a site on which no training row has it.

    References
    ----------
    .. [1] A. Dunn et al., npj Comput. Mater. 6, 138 (2020). :doi:`10.1038/s41524-020-00406-3`

    Examples
    --------
    >>> from sklmat.model_selection import baselines
    >>> for name in baselines("regression", ["NaCl", "MgO"]):
    ...     print(name)
    mean
    linear, composition
    cubic ridge, composition
    random forest, composition
    XGBoost, composition
    Gaussian process, composition
    """
    if task not in ("regression", "classification"):
        raise ValueError(f"task must be 'regression' or 'classification', got {task!r}")
    if not isinstance(random_state, Integral):
        raise ValueError(f"random_state must be an integer, got {random_state!r}")
    if is_graphs(X):
        raise TypeError(
            "the baselines need structures or compositions, not CrystalGraphs; pass them, and "
            "compare on the structures from which the graphs were built, which networks take too"
        )
    is_regression = task == "regression"
    make = _Models(is_regression, int(random_state))
    models: dict[str, BaseEstimator] = {
        "mean" if is_regression else "most frequent": (
            DummyRegressor() if is_regression else DummyClassifier()
        ),
        "linear, composition": make.linear(),
    }
    has_fractions = X is not None and _number_of_elements(X) <= _MAX_FRACTIONS
    if is_regression and has_fractions:
        models["cubic ridge, composition"] = make.cubic_ridge()
    models["random forest, composition"] = make.forest()
    models["XGBoost, composition"] = make.boosting(_composition())
    with_process = X is not None and len(X) <= _MAX_PROCESS_ROWS[task]
    if with_process:
        models["Gaussian process, composition"] = make.process({})
    if X is not None and holds_compositions(X):
        return models
    both = make_union(_composition(), StructureFeaturizer(handle_unknown="warn"))
    models["XGBoost, composition and structure"] = make.boosting(both)
    if X is None:
        return models
    tables = _lattice_and_volume()
    if with_process:
        name = "Gaussian process, composition and volume"
        models[name] = make.process(tables)
        if is_regression:
            models[f"robust {name}"] = make.process(tables, degrees_of_freedom=3.0)
    if share_parent(X):
        models["ordering model"] = make.ordering_model()
    if with_process and find_spec("chgnet"):
        models["Gaussian process, CHGNet"] = make.process(
            {**tables, "chgnet": _chgnet(len(X))},
            groups={"vectors": "chgnet__*", "composition and volume": "*"},
        )
    return models


class _Models:
    """Make the models of a task."""

    def __init__(self, is_regression, seed):
        self.is_regression = is_regression
        self.seed = {"random_state": seed}

    def linear(self):
        ridge = RidgeCV(np.logspace(-3, 3, 7))
        model = ridge if self.is_regression else LogisticRegression(max_iter=1000)
        return make_pipeline(_composition(), StandardScaler(), model)

    def cubic_ridge(self):
        # Without columns of properties, which are functions of the fractions.
        fractions = CompositionFeaturizer(fractions=True, properties=[], handle_unknown="warn")
        products = PolynomialFeatures(3, include_bias=False)
        ridge = RidgeCV(np.logspace(-6, 3, 19))
        return make_pipeline(fractions, products, StandardScaler(), ridge)

    def forest(self):
        forest = RandomForestRegressor if self.is_regression else RandomForestClassifier
        trees = forest(n_estimators=300, max_features=1 / 3, n_jobs=1, **self.seed)
        return make_pipeline(_composition(), trees)

    def boosting(self, table):
        from xgboost import XGBClassifier, XGBRegressor

        if self.is_regression:
            return make_pipeline(table, XGBRegressor(**_BOOSTING, n_jobs=1, **self.seed))
        # XGBoost takes the classes 0, 1, ... only; a vote numbers any labels.
        trees = XGBClassifier(**_BOOSTING, n_jobs=1, **self.seed)
        return make_pipeline(table, VotingClassifier([("trees", trees)], voting="soft"))

    def process(self, tables, *, groups=None, degrees_of_freedom=np.inf):
        """Make a Gaussian process on the composition and further tables, given by name."""
        union = FeatureUnion([("composition", _composition()), *tables.items()])
        chosen = ColumnTransformer([("chosen", SimpleImputer(), _columns_of_process)])
        steps = [
            ("table", clone(union).set_output(transform="pandas")),
            ("columns", chosen.set_output(transform="pandas")),
        ]
        if self.is_regression:
            process = RobustGaussianProcessRegressor(
                groups,
                degrees_of_freedom=degrees_of_freedom,
                n_optimizer_rows=_OPTIMIZER_ROWS,
                **self.seed,
            )
        else:
            steps.append(("scaler", StandardScaler()))
            kernel = ConstantKernel(1.0, (1e-3, 1e4)) * Matern(3.0, (1e-1, 1e3), nu=2.5)
            process = GaussianProcessClassifier(kernel, **self.seed)
        return Pipeline([*steps, ("process", process)])

    def ordering_model(self):
        model = OrderingRegressor if self.is_regression else OrderingClassifier
        return model(**self.seed)


def _number_of_elements(X):
    return np.count_nonzero(amounts_of_elements(X).any(axis=0))


def _composition():
    return CompositionFeaturizer(handle_unknown="warn")


def _lattice_and_volume():
    """Make tables of 0/1 columns of the lattice, all zero if it is a new one, and of volumes."""
    names = FunctionTransformer(_lattices, feature_names_out=_lattice_name)
    encoder = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    volume = StructureFeaturizer(groups=["volume"], handle_unknown="warn")
    return {"lattice": make_pipeline(names, encoder), "volume": volume}


def _lattices(X):
    # A union of tables puts rows of the same index side by side.
    index = X.index if isinstance(X, pd.Series) else None
    return pd.DataFrame({"lattice": infer_lattice(X)}, index=index)


def _lattice_name(transformer, names):
    return np.array(["lattice"], dtype=object)


def _chgnet(n_rows):
    from sklmat.embeddings import PotentialFeaturizer

    return PotentialFeaturizer("chgnet", columns="embedding", pool="mean", cache=n_rows)


def _columns_of_process(table):
    """Choose columns: beside fractions, properties of the elements would add no information.

    With few columns, each can have a length scale of its own.
    """
    fractions = [name for name in table.columns if element_of_column(name)]
    if not fractions:
        return list(table.columns)
    others = [name for name in table.columns if not name.startswith("composition__")]
    return [*fractions, f"composition__{MIXING_ENTROPY}", *others]
