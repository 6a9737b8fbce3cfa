"""Files of fitted models that execute nothing when they are loaded."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import sklmat
from sklmat.files import describe_file, replace_file

_FORMAT = "sklmat-model-1"
_CONTENT, _NETWORK, _PIPELINE = "content.json", "network.safetensors", "pipeline.skops"
#: Types beyond those of scikit-learn that a pipeline may hold; none runs code of the file.
_TRUSTED = (
    "sklmat.features._composition_featurizer.CompositionFeaturizer",
    "sklmat.features._structure_featurizer.StructureFeaturizer",
    "sklearn.utils._bunch.Bunch",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
    "xgboost.sklearn.XGBRegressor",
    "sklearn.tree._tree.Tree",
    "sklearn.gaussian_process._gpr.GaussianProcessRegressor",
    "sklearn.gaussian_process._gpc.GaussianProcessClassifier",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Matern",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.Sum",
    "sklearn.gaussian_process.kernels.WhiteKernel",
)


class FittedModel(NamedTuple):
    """A fitted model, and what it was fitted on.

    Attributes
    ----------
    model : fitted estimator
    name : str
        Its name on the command line.
    target : str
        Name of the target.
    classes : list or None
        Classes by number, for a classifier.
    of_formulas : bool
        Whether the model takes formulas.
    """

    model: Any
    name: str
    target: str
    classes: list | None
    of_formulas: bool


def save_model(fitted: FittedModel, path: Path) -> None:
    """Write a model to a file."""
    from skops.io import dumps

    content = {
        "format": _FORMAT,
        "sklmat": sklmat.__version__,
        "name": fitted.name,
        "target": fitted.target,
        "classes": fitted.classes,
        "of_formulas": fitted.of_formulas,
    }
    with replace_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_CONTENT, json.dumps(content))
        if hasattr(fitted.model, "nets_"):
            with tempfile.TemporaryDirectory() as folder:
                fitted.model.save(Path(folder) / _NETWORK)
                archive.write(Path(folder) / _NETWORK, _NETWORK)
        else:
            archive.writestr(_PIPELINE, dumps(fitted.model))


def load_model(path: str) -> FittedModel:
    """Read a model; a file that holds anything else than a model of sklmat is an error."""
    from skops.io import get_untrusted_types, loads

    from sklmat.estimators import load_estimator

    found = Path(path).expanduser()
    if not found.is_file():
        raise FileNotFoundError(f"there is no file {found}")
    try:
        with zipfile.ZipFile(found) as archive:
            content = json.loads(archive.read(_CONTENT))
            if content.pop("format", None) != _FORMAT:
                raise ValueError("another format")
            content.pop("sklmat", None)
            if _NETWORK in archive.namelist():
                with tempfile.TemporaryDirectory() as folder:
                    archive.extract(_NETWORK, folder)
                    model = load_estimator(Path(folder) / _NETWORK)
                return FittedModel(model, **content)
            data = archive.read(_PIPELINE)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{found} holds no model of sklmat fit ({describe_file(found)}): {error}"
        ) from error
    refused = sorted(set(get_untrusted_types(data=data)) - set(_TRUSTED))
    if refused:
        raise ValueError(
            f"{found} holds {', '.join(refused)}, which no model of sklmat fit has; it was not "
            "loaded"
        )
    return FittedModel(loads(data, trusted=list(_TRUSTED)), **content)
