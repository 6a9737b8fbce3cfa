"""`search_space`: distributions of the parameters of an estimator, for randomised searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import loguniform, randint, uniform

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator


def search_space(estimator: BaseEstimator) -> dict[str, Any]:
    """Give distributions of the parameters that are worth a search.

    Parameters
    ----------
    estimator : estimator
        An instance: any estimator of sklmat, the models that `baselines` makes of scikit-learn and
        XGBoost, or a Pipeline or other meta-estimator of them.

    Returns
    -------
    space : dict of str to distribution or list
        For ``RandomizedSearchCV`` and ``HalvingRandomSearchCV``. The keys are those of
        ``estimator.set_params``: parameters of parts have the name of the part before them, such as
        ``cgcnnregressor__lr``.

    Raises
    ------
    TypeError
        When `estimator` is a class, or neither it nor a part of it has parameters to search.

    See Also
    --------
    baselines : Simple models, with settings that were chosen once.

    Notes
    -----
    What mainly makes a model slower and better is left out, such as ``n_ensemble`` and
    ``max_epochs`` of networks, and so is what must fit the data, such as the cutoff of a network,
    which must not be larger than that of given `CrystalGraphs`. Parts that have no space, such as
    scalers, add nothing. The number of trees of a model that is stopped early is not searched.
    Delete keys, or replace their distributions, to search less. A part that is None stands for a
    default: pass an instance to search its parameters.

    Examples
    --------
    >>> from sklearn.model_selection import KFold, RandomizedSearchCV
    >>> from sklmat import baselines, search_space
    >>> model = baselines("regression")["XGBoost, composition"]
    >>> sorted(search_space(model))[-3:]
    ['xgbregressor__n_estimators', 'xgbregressor__reg_lambda', 'xgbregressor__subsample']
    >>> search = RandomizedSearchCV(
    ...     model, search_space(model), n_iter=2, cv=KFold(2), random_state=0
    ... )
    >>> search.fit(["NaCl", "KBr", "KCl", "NaBr"], [1.0, 2.0, 3.0, 4.0]).n_splits_
    2
    """
    if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
        name = getattr(estimator, "__name__", type(estimator).__name__)
        raise TypeError(f"search_space needs an instance of an estimator, got {name}")
    spaces = _spaces()
    found = {key: part for key, part in estimator.get_params().items() if _is_instance(part)}
    parts = {"": estimator} | {f"{key}__": part for key, part in found.items()}
    space = {
        prefix + name: values
        for prefix, part in parts.items()
        for name, values in _own_space(part, spaces).items()
    }
    for prefix, part in parts.items():
        if _stops_early(part):
            space = {key: space[key] for key in space if not _is_limit(key, f"{prefix}estimator__")}
    if not space:
        others = sorted(name for library, name in spaces if library != "sklmat")
        raise TypeError(
            f"{type(estimator).__name__} has no parameters to search, nor has a part of it; there "
            f"are spaces for the estimators of sklmat and for {', '.join(others)}, also as parts "
            "of a Pipeline or another meta-estimator"
        )
    return space


def _is_instance(value):
    return hasattr(value, "get_params") and not isinstance(value, type)


def _stops_early(estimator):
    return any(cls.__name__ == "EarlyStoppingMixin" for cls in type(estimator).__mro__)


def _is_limit(key, prefix):
    """Whether a parameter is the number of trees, inside an estimator with a prefix."""
    return key.startswith(prefix) and key.rpartition("__")[2] in ("n_estimators", "max_iter")


def _own_space(estimator, spaces):
    """Return the distributions of the parameters of an estimator itself, without its parts."""
    for cls in type(estimator).__mro__:
        key = cls.__module__.partition(".")[0], cls.__name__
        if key in spaces:
            return spaces[key]
    return {}


def _spaces():
    """Return library and name of a class -> parameter -> distribution.

    By name, because an import of the classes would load torch and XGBoost.
    """
    training = {
        "lr": loguniform(5e-4, 2e-2),
        "batch_size": [16, 32, 64],
        "dropout": [0.0, 0.1, 0.2],
    }
    losses = {"loss": ["mae", "mse", "huber"]}
    weights = {"class_weight": [None, "balanced"]}
    cgcnn = {
        **training,
        "hidden_dim": ["auto", 32, 64, 128],
        "n_conv": randint(2, 5),
        "readout_dim": [32, 64, 128],
        "n_readout": randint(1, 3),
        "gaussian_step": [0.1, 0.2, 0.4],
        "weight_decay": [0.0, 1e-4, 1e-2],
    }
    ecnet = {
        **training,
        "hidden_dim": [32, 64, 128],
        "n_filters": [32, 64, 128],
        "n_conv": randint(1, 3),
        "radial_step": uniform(0.15, 0.35),
        "radial_spread": [True, False],
        "weight_decay": loguniform(1e-2, 1.0),
    }
    stopping = {
        "n_iter_no_change": randint(10, 101),
        "validation_fraction": uniform(0.1, 0.15),
        "refit": [True, False],
    }
    orderings = {"symprec": [None, 0.05, 0.1, 0.2], "max_iter": [30, 60, 120]}
    resampling = {"n_samples": [0.5, 1.0, 2.0]}
    moves = {"budget": loguniform(0.01, 0.2), "strain": [0.0, 0.005, 0.01, 0.02]}
    forest = {
        "max_features": uniform(0.1, 0.9),
        "min_samples_leaf": randint(1, 6),
        "max_depth": [None, 10, 20],
    }
    boosting = {
        "learning_rate": loguniform(0.01, 0.1),
        "n_estimators": randint(300, 2001),
        "max_depth": randint(2, 9),
        "min_child_weight": loguniform(0.5, 10.0),
        "subsample": uniform(0.5, 0.5),
        "colsample_bytree": uniform(0.1, 0.9),
        "reg_lambda": loguniform(0.1, 10.0),
    }
    histograms = {
        "learning_rate": loguniform(0.01, 0.2),
        "max_iter": randint(100, 1001),
        "max_leaf_nodes": randint(7, 64),
        "min_samples_leaf": randint(5, 31),
        "l2_regularization": loguniform(1e-3, 10.0),
    }
    sklmat = {
        "CGCNNRegressor": {**cgcnn, **losses},
        "CGCNNClassifier": {**cgcnn, **weights},
        "ECNetRegressor": {**ecnet, **losses},
        "ECNetClassifier": {**ecnet, **weights},
        # Networks of your own.
        "GraphRegressor": {"lr": training["lr"], "batch_size": training["batch_size"]},
        "GraphClassifier": {"lr": training["lr"], "batch_size": training["batch_size"]},
        "EFTGANRegressor": {"n_components": randint(3, 9), "n_iterations": [None, 1, 2, 3]},
        "RobustGaussianProcessRegressor": {
            "degrees_of_freedom": [2.0, 3.0, 4.0, 8.0, np.inf],
            "length_scales": ["column", "group"],
        },
        "OrderingRegressor": orderings,
        "OrderingClassifier": orderings,
        "DeltaRegressor": {"references": ["elements", None]},
        "ApplicabilityDomain": {"n_neighbors": randint(1, 11)},
        "CalibratedStdRegressor": {"offset": [False, True]},
        "ConformalRegressor": {"method": ["cv+", "split"]},
        "ConformalClassifier": {"method": ["cv+", "split"]},
        "EarlyStoppingRegressor": stopping,
        "EarlyStoppingClassifier": stopping,
        "StructureToGraph": {
            "cutoff": uniform(5.0, 4.0),
            "max_neighbors": [8, 12, 16, 24],
        },
        "CompositionFeaturizer": {
            "fractions": ["auto", True, False],
            "statistics": [
                None,
                ["mean", "deviation"],
                ["mean", "average deviation", "range", "min", "max", "mode"],
            ],
        },
        "StructureFeaturizer": {
            "groups": [
                None,
                ["volume"],
                ["volume", "distances"],
                ["volume", "distances", "coordination"],
                ["volume", "distances", "coordination", "order"],
            ],
            "symprec": [0.01, 0.03, 0.1, 0.3],
        },
        "DisorderFeaturizer": {
            "groups": [None, ["symmetry", "order"], ["bonds", "angles", "polyhedra", "order"]],
            "n_shells": randint(1, 5),
            "voronoi": [False, True],
        },
        "ECNetFeaturizer": {"n_components": randint(2, 11)},
        "PotentialFeaturizer": {"pool": ["mean", ["mean", "sd"]]},
        "InfoGANAugmenter": {
            **resampling,
            "latent_dim": randint(2, 9),
            "hidden_dim": [32, 64, 128],
            "n_layers": randint(1, 4),
            "info_weight": loguniform(0.1, 10.0),
            "reconstruction_weight": loguniform(0.1, 10.0),
            "lr": loguniform(5e-4, 5e-3),
        },
        "MixupAugmenter": {**resampling, "alpha": loguniform(0.2, 5.0)},
        "NoiseAugmenter": {**resampling, "scale": loguniform(0.02, 0.5)},
        "PerturbationSampler": {**resampling, **moves},
        "StructureOverSampler": moves,
        "StructureUnderSampler": {"sampling_strategy": ["majority", "not minority", "all"]},
        "StructureAttack": {**moves, "n_steps": randint(5, 21)},
        "AdversarialFeatureBuilder": {"select": randint(2, 11)},
    }
    sklearn = {
        "Ridge": {"alpha": loguniform(1e-6, 1e3)},
        "LogisticRegression": {"C": loguniform(1e-3, 1e3)},
        "RandomForestRegressor": forest,
        "RandomForestClassifier": forest,
        "HistGradientBoostingRegressor": histograms,
        "HistGradientBoostingClassifier": histograms,
        "GaussianProcessRegressor": {
            "alpha": loguniform(1e-8, 1e-1),
            "n_restarts_optimizer": randint(0, 4),
        },
        "GaussianProcessClassifier": {"n_restarts_optimizer": randint(0, 4)},
        "PolynomialFeatures": {"degree": [2, 3]},
    }
    xgboost = {"XGBRegressor": boosting, "XGBClassifier": boosting}
    libraries = {"sklmat": sklmat, "sklearn": sklearn, "xgboost": xgboost}
    return {
        (library, name): space
        for library, spaces in libraries.items()
        for name, space in spaces.items()
    }
