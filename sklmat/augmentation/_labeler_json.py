"""`labeler_to_json` and `labeler_from_json`: Gaussian processes as plain data, without code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat.augmentation._gaussian_process_means import restore_process, target_moments
from sklmat.augmentation._known_labels import KnownLabelsRegressor
from sklmat.augmentation._labeler import GaussianProcessLabeler, WeightedBlocks
from sklmat.model_files import make_with_params, set_fitted

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

_OF_SCALER = ("mean_", "var_", "scale_", "n_samples_seen_", "n_features_in_")


def process_to_json(process: GaussianProcessRegressor) -> dict[str, Any]:
    """Return a fitted process with the kernel of a labeler, or with a Matérn kernel, as plain data.

    Parameters
    ----------
    process : fitted GaussianProcessRegressor
        Its kernel is a constant times an RBF or a Matérn kernel with nu = 3/2, plus white noise.
    """
    from sklmat.estimators import to_json

    kernel = process.kernel_
    return {
        "is_matern": isinstance(kernel.k1.k2, Matern),
        "values": [
            float(kernel.k1.k1.constant_value),
            float(kernel.k1.k2.length_scale),
            float(kernel.k2.noise_level),
        ],
        "rows": to_json("rows", process.X_train_),
        # Sums over rows in another order of memory would differ in the last digits.
        "order": "F" if process.X_train_.flags.f_contiguous else "C",
        "targets": to_json("targets", process.y_train_),
        "moments": to_json("moments", [np.asarray(m) for m in target_moments(process)]),
    }


def process_from_json(content: dict[str, Any]) -> GaussianProcessRegressor:
    """Invert `process_to_json`."""
    from sklmat.estimators import from_json

    variance, length_scale, noise = content["values"]
    base = Matern(length_scale, nu=1.5) if content["is_matern"] else RBF(length_scale)
    kernel = ConstantKernel(variance) * base + WhiteKernel(noise)
    rows, targets, moments = (from_json(content[key]) for key in ("rows", "targets", "moments"))
    rows = np.asarray(rows, order=content["order"])
    return restore_process(kernel, rows, targets, moments)


def labeler_to_json(labeler: BaseEstimator) -> dict[str, Any]:
    """Return a fitted `GaussianProcessLabeler`, or one for each target, as plain data.

    Parameters
    ----------
    labeler : fitted GaussianProcessLabeler or KnownLabelsRegressor

    Raises
    ------
    ValueError
        When it is another estimator.
    """
    from sklmat.estimators import to_json

    if isinstance(labeler, KnownLabelsRegressor):
        return {"by_target": [labeler_to_json(each) for each in labeler.regressors_]}
    if not isinstance(labeler, GaussianProcessLabeler):
        raise ValueError(
            f"a {type(labeler).__name__} cannot be written without code; write the whole model "
            "with joblib.dump"
        )
    params = {name: np.asarray(value) for name, value in labeler.get_params().items()}
    return {
        "params": to_json("params", params),
        "n_dim": labeler.n_dim_,
        "n_features": labeler.n_features_in_,
        "processes": [
            [
                {
                    "codes": to_json("codes", weighted.codes),
                    "scaler": {name: to_json(name, getattr(scaler, name)) for name in _OF_SCALER},
                    "process": process_to_json(process),
                }
                for weighted, scaler, process in (pipeline for pipeline in pair)
            ]
            for pair in labeler.processes_
        ],
    }


def labeler_from_json(content: dict[str, Any]) -> BaseEstimator:
    """Invert `labeler_to_json`."""
    from sklmat.estimators import from_json

    if "by_target" in content:
        regressors = [labeler_from_json(each) for each in content["by_target"]]
        labeler = KnownLabelsRegressor(regressors[0])
        labeler.regressors_ = regressors
        return labeler
    labeler = make_with_params(GaussianProcessLabeler, **from_json(content["params"]))
    labeler.n_dim_, labeler.n_features_in_ = content["n_dim"], content["n_features"]
    labeler.processes_ = []
    for pair in content["processes"]:
        pipelines = []
        for part in pair:
            scaler = StandardScaler()
            set_fitted(scaler, {name: from_json(part["scaler"][name]) for name in _OF_SCALER})
            weighted = WeightedBlocks(labeler.fractions, labeler.blocks, from_json(part["codes"]))
            pipelines.append(make_pipeline(weighted, scaler, process_from_json(part["process"])))
        labeler.processes_.append(pipelines)
    return labeler
