"""`baselines`: the simple models that a new one should be compared with."""

from __future__ import annotations

from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor, VotingClassifier
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sklmat.compositions import MIXING_ENTROPY, element_of_column, holds_compositions
from sklmat.features import CompositionFeaturizer, StructureFeaturizer
from sklmat.gaussian_processes import RobustGaussianProcessRegressor
from sklmat.structures import is_graphs

if TYPE_CHECKING:
    from sklmat.typing import Compositions, Structures

# Chosen once on generated alloys: slow learning with sampled columns suits few rows and many
# columns.
_BOOSTING: dict[str, Any] = {
    "n_estimators": 500,
    "learning_rate": 0.05,
    "max_depth": 6,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
}
# The time of a Gaussian process grows with the cube of the number of rows.
_MAX_PROCESS_ROWS = 2000
_OPTIMIZER_ROWS = 500


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
        The data. If it holds compositions or formulas, models that need a structure are left out.
        If it has at most 2000 rows, Gaussian processes are among the regressors.
    random_state : int, default=0
        Seed of all models.

    Returns
    -------
    models : dict of str to estimator
        Unfitted estimators. All take structures; those on the composition also take formulas:

        - "mean", or "most frequent": ignores the input.
        - "linear, composition": ridge regression, or logistic regression, on the standardised table
          of `CompositionFeaturizer`.
        - "Gaussian process, composition": Matérn kernel with noise, on the same table; only
          for regression, and if `X` is given and has at most 2000 rows.
        - "random forest, composition": the usual baseline in materials science [1]_.
        - "XGBoost, composition".
        - "XGBoost, composition and structure": with the columns of `StructureFeaturizer` too.
        - "robust Gaussian process, composition and volume": `RobustGaussianProcessRegressor` on
          the group "volume" of `StructureFeaturizer` and the composition: with at most 12 elements
          the fractions, otherwise all columns of `CompositionFeaturizer`. The kernel is a product
          of one for the composition and one for the volume. Undefined volumes (of
          slabs among crystals) are replaced by the mean. Only for regression, and if `X` is given
          and has at most 2000 rows.

    Raises
    ------
    ValueError
        When `task` is neither of the two, or `random_state` is no integer.
    TypeError
        When `X` is a `CrystalGraphs`: the models need the structures.

    Notes
    -----
    Elements that no training row has do not stop a model: if the table has columns of elements,
    there is an `ExtrapolationWarning`.

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
    Gaussian process, composition
    random forest, composition
    XGBoost, composition
    """
    from xgboost import XGBClassifier, XGBRegressor

    if task not in ("regression", "classification"):
        raise ValueError(f"task must be 'regression' or 'classification', got {task!r}")
    if not isinstance(random_state, Integral):
        raise ValueError(f"random_state must be an integer, got {random_state!r}")
    if is_graphs(X):
        raise TypeError(
            "the baselines need structures or compositions, not CrystalGraphs; pass them, and "
            "compare on the structures from which the graphs were built, which networks take too"
        )
    seed = {"random_state": int(random_state)}
    threads = {"n_jobs": 1}
    is_regression = task == "regression"
    forest = RandomForestRegressor if is_regression else RandomForestClassifier

    def composition():
        return CompositionFeaturizer(handle_unknown="warn")

    def boosting():
        if is_regression:
            return XGBRegressor(**_BOOSTING, **seed, **threads)
        # XGBoost takes the classes 0, 1, ... only; a vote numbers any labels.
        trees = XGBClassifier(**_BOOSTING, **seed, **threads)
        return VotingClassifier([("trees", trees)], voting="soft")

    linear = (
        RidgeCV([10.0**power for power in range(-3, 4)])
        if is_regression
        else LogisticRegression(max_iter=1000)
    )
    models: dict[str, BaseEstimator] = {
        "mean" if is_regression else "most frequent": (
            DummyRegressor() if is_regression else DummyClassifier()
        ),
        "linear, composition": make_pipeline(composition(), StandardScaler(), linear),
    }
    with_processes = is_regression and X is not None and len(X) <= _MAX_PROCESS_ROWS
    if with_processes:
        kernel = ConstantKernel(1.0, (1e-3, 1e6)) * Matern(10.0, (1e-1, 1e4), nu=2.5)
        process = GaussianProcessRegressor(
            kernel + WhiteKernel(0.1, (1e-4, 10.0)), normalize_y=True, **seed
        )
        models["Gaussian process, composition"] = make_pipeline(
            composition(), StandardScaler(), process
        )
    models["random forest, composition"] = make_pipeline(
        composition(), forest(n_estimators=300, max_features=1 / 3, **seed, **threads)
    )
    models["XGBoost, composition"] = make_pipeline(composition(), boosting())
    if X is None or not holds_compositions(X):
        both = make_union(composition(), StructureFeaturizer(handle_unknown="warn"))
        models["XGBoost, composition and structure"] = make_pipeline(both, boosting())
        if with_processes:
            volume = StructureFeaturizer(groups=["volume"], handle_unknown="warn")
            chosen = ColumnTransformer([("chosen", SimpleImputer(), _columns_of_process)])
            models["robust Gaussian process, composition and volume"] = make_pipeline(
                make_union(composition(), volume).set_output(transform="pandas"),
                chosen.set_output(transform="pandas"),
                RobustGaussianProcessRegressor(
                    {"composition": "compositionfeaturizer__*", "volume": "structurefeaturizer__*"},
                    n_optimizer_rows=_OPTIMIZER_ROWS,
                    **seed,
                ),
            )
    return models


def _columns_of_process(table):
    """Choose columns: beside fractions, properties of the elements would add no information.

    With few columns, each can have a length scale of its own.
    """
    fractions = [name for name in table.columns if element_of_column(name)]
    if not fractions:
        return list(table.columns)
    prefix = fractions[0].partition("__")[0] + "__"
    others = [name for name in table.columns if not name.startswith(prefix)]
    return [*fractions, prefix + MIXING_ENTROPY, *others]
