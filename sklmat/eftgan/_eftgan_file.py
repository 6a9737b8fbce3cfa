"""Files of an `EFTGANRegressor`, which contain no executable code."""

from dataclasses import asdict

from sklearn.base import clone

from sklmat.augmentation import (
    InfoGANAugmenter,
    QualityReport,
    labeler_from_json,
    labeler_to_json,
    process_from_json,
    process_to_json,
)
from sklmat.eftgan._extrapolation import ExtrapolationDetector
from sklmat.eftgan._phase_regressor import PhaseAwareProcesses
from sklmat.eftgan._relaxation import LatticeRelaxation
from sklmat.embeddings import ECNetFeaturizer
from sklmat.estimators import from_json, to_json
from sklmat.files import damage_named, expand_path
from sklmat.model_files import (
    REMEDY,
    file_within,
    load_within,
    make_with_params,
    read_model,
    set_fitted,
    summary_content,
    write_model,
)

_FORMAT = "sklmat-eftgan-1"
#: Fitted attributes that are plain values.
_FITTED = ("elements_", "phases_", "target_names_", "n_outputs_")
#: Attributes of a fitted `LatticeRelaxation` that are plain values.
_OF_RELAXATION = ("classes_", "phases_", "certain_", "_vectors", "_shift", "_scale")


def save_eftgan(model, n_dim, training_compositions, path, report=None):
    """Write a fitted `EFTGANRegressor`; its network and InfoGAN are files within the file."""
    if not isinstance(model.regressor_, PhaseAwareProcesses):
        raise ValueError(
            "a regressor of yours cannot be written without code; write the whole model with "
            "joblib.dump"
        )
    params = model.get_params(deep=False)
    has_augmenter = params.pop("augmenter") is not None
    for name in ("estimator", "regressor"):
        params.pop(name)
    augmentation = asdict(model.report_)
    content = {
        "params": {name: to_json(name, value) for name, value in params.items()},
        "has_augmenter": has_augmenter,
        "fitted": {name: to_json(name, getattr(model, name)) for name in _FITTED},
        "n_dim": n_dim,
        "report": {name: to_json(name, value) for name, value in augmentation.items()},
        "relaxation": relaxation_to_json(model.relaxation_),
        "regressor": {
            "n_phase_columns": model.regressor_.n_phase_columns,
            "n_dim": model.regressor_.n_dim_,
            "reads_phase": to_json("reads_phase_", model.regressor_.reads_phase_),
            "processes": [labeler_to_json(each) for each in model.regressor_.processes_],
        },
    }
    arrays = {
        "featurizer": file_within(model.featurizer_, path),
        "augmenter": file_within(model.augmenter_, path),
        "training compositions": training_compositions,
    }
    write_model(path, _FORMAT, content | summary_content(report), arrays)


def load_eftgan(cls, path):
    """Read an `EFTGANRegressor`; return it, the dimensions of `y` and the detector."""
    path = expand_path(path)
    content, arrays = read_model(path, _FORMAT, f"a fitted {cls.__name__}")
    with damage_named(path, REMEDY):
        return _model_of(cls, content, arrays, path)


def _model_of(cls, content, arrays, path):
    featurizer = load_within(
        ECNetFeaturizer.load, arrays["featurizer"], f"the ECNetFeaturizer in {path}"
    )
    featurizer.set_output(transform="pandas")
    augmenter = load_within(
        InfoGANAugmenter.load, arrays["augmenter"], f"the InfoGANAugmenter in {path}"
    )
    params = {name: from_json(value) for name, value in content["params"].items()}
    given = clone(augmenter) if content["has_augmenter"] else None
    model = make_with_params(cls, featurizer.estimator, given, **params)
    fitted = {name: from_json(value) for name, value in content["fitted"].items()}
    set_fitted(model, fitted, dict.fromkeys(_FITTED, object))
    model.featurizer_, model.estimator_ = featurizer, featurizer.estimator_
    model.augmenter_ = augmenter
    report = {name: from_json(value) for name, value in content["report"].items()}
    model.report_ = QualityReport(**report)
    model.relaxation_ = relaxation_from_json(content["relaxation"])
    parts = content["regressor"]
    model.regressor_ = PhaseAwareProcesses(parts["n_phase_columns"])
    model.regressor_.n_dim_ = parts["n_dim"]
    model.regressor_.reads_phase_ = from_json(parts["reads_phase"])
    model.regressor_.processes_ = [labeler_from_json(each) for each in parts["processes"]]
    return model, content["n_dim"], ExtrapolationDetector(arrays["training compositions"])


def relaxation_to_json(relaxation):
    """A fitted `LatticeRelaxation` as plain data."""
    values = vars(relaxation)
    process = values.get("process_")
    arrays = {name: value for name, value in values.items() if name != "process_"}
    return {
        "values": {name: to_json(name, value) for name, value in arrays.items()},
        "process": None if process is None else process_to_json(process),
    }


def relaxation_from_json(content):
    """Invert `relaxation_to_json`."""
    values = {name: from_json(value) for name, value in content["values"].items()}
    relaxation = LatticeRelaxation(values.pop("elements"), values.pop("sharpness"))
    set_fitted(relaxation, values, dict.fromkeys(_OF_RELAXATION, object))
    if content["process"] is not None:
        relaxation.process_ = process_from_json(content["process"])
    return relaxation
