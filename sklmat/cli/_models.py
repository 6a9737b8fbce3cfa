"""The models of the command line, by name."""

from __future__ import annotations

from typing import Any, Literal

#: Name -> name in `baselines`, or None for a model that is made here.
REGRESSORS = {
    "mean": "mean",
    "linear": "linear, composition",
    "random-forest": "random forest, composition",
    "xgboost-formula": "XGBoost, composition",
    "xgboost": "XGBoost, composition and structure",
    "gaussian-process": None,
    "cgcnn": None,
    "ecnet": None,
}
#: Models that take formulas.
OF_FORMULAS = ("mean", "linear", "random-forest", "xgboost-formula", "gaussian-process")
DEFAULT_MODELS = ("mean", "random-forest", "xgboost", "cgcnn")
NETWORKS = ("cgcnn", "ecnet")
DESCRIPTION = """\
models:
  mean              ignores the crystals (the most frequent class, for classes)
  linear            ridge or logistic regression on the composition
  random-forest     random forest on the composition
  xgboost-formula   XGBoost on the composition
  xgboost           XGBoost on composition and structure
  gaussian-process  Gaussian process on fractions of at most 12 elements and the
                    lattice; the model for sklmat screen
  cgcnn             crystal graph convolutional network
  ecnet             element-convolution network, for alloys"""


def make_model(
    name: str,
    task: Literal["regression", "classification"],
    *,
    seed: int,
    epochs: int | None,
    of_formulas: bool,
) -> Any:
    """Make an unfitted model.

    Parameters
    ----------
    name : str
        One of `REGRESSORS`.
    task : {"regression", "classification"}
    seed : int
    epochs : int or None
        Epochs of a network; None means its default.
    of_formulas : bool
        Whether there are no structures.
    """
    from sklmat.model_selection import baselines

    if of_formulas and name not in OF_FORMULAS:
        raise ValueError(
            f"the model {name} needs structures; with formulas, use {', '.join(OF_FORMULAS)}"
        )
    if name in NETWORKS:
        return _network(name, task, seed, epochs)
    if name == "gaussian-process":
        return _gaussian_process(task, seed, of_formulas)
    models = baselines(task, random_state=seed)
    return models.get(REGRESSORS[name] or "", models.get("most frequent"))


def _network(name, task, seed, epochs):
    from sklmat import estimators

    kind = {"cgcnn": "CGCNN", "ecnet": "ECNet"}[name]
    suffix = "Regressor" if task == "regression" else "Classifier"
    settings = {} if epochs is None else {"max_epochs": epochs}
    return getattr(estimators, kind + suffix)(random_state=seed, **settings)


def _gaussian_process(task, seed, of_formulas):
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
    from sklearn.pipeline import make_pipeline

    from sklmat.features import CompositionFeaturizer

    table = CompositionFeaturizer(
        lattice=not of_formulas, fractions=True, properties=[], handle_unknown="warn"
    )
    kernel = ConstantKernel() * Matern(nu=2.5)
    if task == "classification":
        return make_pipeline(table, GaussianProcessClassifier(kernel, random_state=seed))
    process = GaussianProcessRegressor(
        kernel + WhiteKernel(0.01), normalize_y=True, n_restarts_optimizer=2, random_state=seed
    )
    return make_pipeline(table, process)
