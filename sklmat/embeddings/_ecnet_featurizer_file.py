"""Files of an `ECNetFeaturizer`, which contain no executable code."""

from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from sklmat.estimators import (
    from_json,
    is_fitted_source,
    load_estimator,
    to_json,
    transformer_from_json,
    transformer_to_json,
)
from sklmat.files import damage_named, expand_path
from sklmat.model_files import (
    REMEDY,
    file_within,
    load_within,
    make_with_params,
    read_model,
    set_fitted,
    write_model,
)

_FORMAT = "sklmat-ecnet-featurizer-1"
#: Fitted attributes that are plain values, and their types.
_FITTED = {
    "elements_": list,
    "lattices_": (list, type(None)),
    "explained_variance_ratio_": dict,
    "feature_names_": list,
}
#: Fitted attributes of a PCA that its ``transform`` and users read.
_OF_PCA = (
    "components_",
    "explained_variance_",
    "explained_variance_ratio_",
    "singular_values_",
    "mean_",
    "n_components_",
    "n_samples_",
    "noise_variance_",
    "n_features_in_",
)


def save_featurizer(featurizer, path):
    """Write a fitted `ECNetFeaturizer`; the network is a file within the file."""
    params = featurizer.get_params(deep=False)
    given = params.pop("estimator")
    is_fitted = given is not None and is_fitted_source(given)
    content = {
        "params": {name: to_json(name, value) for name, value in params.items()},
        "estimator": "default" if given is None else "fitted" if is_fitted else "unfitted",
        "fitted": {name: to_json(name, getattr(featurizer, name)) for name in _FITTED},
        "composition": transformer_to_json(featurizer.composition_, "the table of compositions"),
        "pca": [[symbol, _pca_to_json(pca)] for symbol, pca in featurizer.pca_.items()],
    }
    arrays = {"estimator": file_within(featurizer.estimator_, path)}
    write_model(path, _FORMAT, content, arrays)


def load_featurizer(cls, path):
    """Read an `ECNetFeaturizer` that `save_featurizer` wrote."""
    path = expand_path(path)
    content, arrays = read_model(path, _FORMAT, f"a fitted {cls.__name__}")
    with damage_named(path, REMEDY):
        network = load_within(load_estimator, arrays["estimator"], f"the network in {path}")
        estimator = None
        if content["estimator"] != "default":
            is_fitted = content["estimator"] == "fitted"
            estimator = FrozenEstimator(network) if is_fitted else clone(network)
        params = {name: from_json(value) for name, value in content["params"].items()}
        featurizer = make_with_params(cls, estimator, **params)
        fitted = {name: from_json(value) for name, value in content["fitted"].items()}
        set_fitted(featurizer, fitted, _FITTED)
        featurizer.estimator_ = network
        featurizer.composition_ = transformer_from_json(content["composition"])
        featurizer.pca_ = {symbol: _pca_from_json(values) for symbol, values in content["pca"]}
        featurizer.n_features_out_ = len(featurizer.feature_names_)
    return featurizer


def _pca_to_json(pca):
    if pca is None:
        return None
    values = {name: to_json(name, getattr(pca, name)) for name in _OF_PCA}
    return {**values, "svd_solver": pca.svd_solver}


def _pca_from_json(values):
    if values is None:
        return None
    pca = PCA(values["n_components_"], svd_solver=values["svd_solver"])
    set_fitted(pca, {name: from_json(values[name]) for name in _OF_PCA})
    return pca
