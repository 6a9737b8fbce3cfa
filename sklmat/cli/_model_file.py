"""Files of fitted models that execute nothing when they are loaded."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import sklmat
from sklmat.files import describe_file, replace_file
from sklmat.model_files import file_within

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
    unit : str or None
        Unit of the target.
    id : str or None
        Name of the column of ids, if the user named one.
    elements : list of int or None
        Atomic numbers of the elements in the training rows; None in files of earlier versions.
    """

    model: Any
    name: str
    target: str
    classes: list | None
    of_formulas: bool
    unit: str | None = None
    id: str | None = None
    elements: list[int] | None = None

    @property
    def column(self) -> str:
        """Name of the target with its unit, for a table of predictions."""
        return self.target if self.unit is None else f"{self.target} ({self.unit})"

    @property
    def has_deviation(self) -> bool:
        """Whether the model also predicts a standard deviation."""
        if self.classes is not None:
            return False
        return self.name == "gaussian-process" or len(getattr(self.model, "nets_", ())) > 1


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
        "unit": fitted.unit,
        "id": fitted.id,
        "elements": fitted.elements,
    }
    with replace_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(_CONTENT, json.dumps(content))
        if hasattr(fitted.model, "nets_"):
            archive.writestr(_NETWORK, file_within(fitted.model, path).tobytes())
        else:
            archive.writestr(_PIPELINE, dumps(fitted.model))


def load_model(path: str) -> FittedModel:
    """Read a model; a file that holds anything else than a model of sklmat is an error."""
    from sklearn.base import is_classifier

    found = Path(path).expanduser()
    if not found.is_file():
        raise FileNotFoundError(f"there is no file {found}")
    try:
        with zipfile.ZipFile(found) as archive:
            content = _check_content(json.loads(archive.read(_CONTENT)))
            is_network = _NETWORK in archive.namelist()
            data = archive.read(_NETWORK if is_network else _PIPELINE)
        model = _load_network(data) if is_network else _load_pipeline(data)
        n_classes = len(model.classes_) if is_classifier(model) else 0
        if n_classes != len(content["classes"] or []):
            raise ValueError(f"its model has {n_classes} classes, but it names others")
    # Libraries report broken files by errors of many kinds.
    except Exception as error:
        raise ValueError(
            f"{found} holds no model of sklmat fit ({describe_file(found)}), and was not loaded: "
            f"{error}"
        ) from error
    return FittedModel(model, **content)


def _check_content(content):
    """Validate what the file says of its model."""
    kinds = {
        "name": str,
        "target": str,
        "classes": (list, type(None)),
        "of_formulas": bool,
        "unit": (str, type(None)),
        "id": (str, type(None)),
        "elements": (list, type(None)),
    }
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError(f"it is not in the format {_FORMAT!r}")
    for name, kind in kinds.items():
        if not isinstance(content.get(name), kind):
            raise ValueError(f"its entry {name!r} is {content.get(name)!r}")
    return {name: content.get(name) for name in kinds}


def _load_network(data):
    from sklmat.estimators import load_estimator

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NETWORK
        path.write_bytes(data)
        return load_estimator(path)


def _load_pipeline(data):
    from skops.io import get_untrusted_types, loads

    refused = sorted(set(get_untrusted_types(data=data)) - set(_TRUSTED))
    if refused:
        raise ValueError(f"it holds {', '.join(refused)}, which no model of sklmat fit has")
    model = loads(data, trusted=list(_TRUSTED))
    if not hasattr(model, "predict"):
        raise ValueError(f"it holds {type(model).__name__}, not an estimator")
    return model
