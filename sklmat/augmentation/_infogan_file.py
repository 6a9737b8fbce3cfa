"""Files of an `InfoGANAugmenter`, which contain no executable code."""

import functools

import numpy as np

from sklmat.augmentation._codes import find_blocks, find_codes
from sklmat.augmentation._derived_columns import DerivedColumns
from sklmat.augmentation._iterated_gan import IteratedGAN
from sklmat.augmentation._labeler_json import labeler_from_json, labeler_to_json
from sklmat.augmentation._table_codec import TableCodec, TargetCodec
from sklmat.files import damage_named, expand_path
from sklmat.model_files import (
    REMEDY,
    load_network,
    make_with_params,
    read_model,
    set_fitted,
    write_model,
)
from sklmat.networks import InfoGAN
from sklmat.training import initial_weights

_FORMAT = "sklmat-infogan-1"
#: Fitted attributes that are plain values; those of the second line may be absent.
_FITTED = ("code_features_", "n_iterations_", "validation_errors_", "classes_", "history_")
_OPTIONAL = ("n_features_in_", "sample_origin_")


def save_augmenter(augmenter, gan, rows, path):
    """Write a fitted `InfoGANAugmenter` with its networks and training rows."""
    from sklmat.estimators import to_json

    params = augmenter.get_params(deep=False)
    names = getattr(augmenter, "feature_names_in_", None)
    present = [*_FITTED, *(name for name in _OPTIONAL if hasattr(augmenter, name))]
    codec = gan.target_codec
    content = {
        "params": {name: to_json(name, value) for name, value in params.items()},
        "fitted": {name: to_json(name, getattr(augmenter, name)) for name in present},
        "names": None if names is None else [str(name) for name in names],
        "labeler": None if gan.labeler is None else labeler_to_json(gan.labeler),
        "targets": None if codec is None else to_json("targets", vars(codec)),
        "networks": [to_json("network", network.config) for network in gan.gans],
        "network": to_json("network", gan.network),
        "training": to_json("training", gan.training),
    }
    arrays = {"rows": rows}
    for number, network in enumerate(gan.gans):
        for name, tensor in network.state_dict().items():
            arrays[f"{number}.{name}"] = tensor.cpu().numpy()
    write_model(path, _FORMAT, content, arrays)


def load_augmenter(cls, path):
    """Read an `InfoGANAugmenter`; return it, its `IteratedGAN` and its training rows."""
    from sklmat.estimators import from_json

    path = expand_path(path)
    content, arrays = read_model(path, _FORMAT, f"a fitted {cls.__name__}")
    with damage_named(path, REMEDY):
        return _augmenter_of(cls, content, arrays, from_json)


def _augmenter_of(cls, content, arrays, from_json):
    params = {name: from_json(value) for name, value in content["params"].items()}
    augmenter = make_with_params(cls, **params)
    fitted = {name: from_json(value) for name, value in content["fitted"].items()}
    set_fitted(augmenter, fitted, dict.fromkeys((*_FITTED, *_OPTIONAL), object))
    names, rows = content["names"], arrays["rows"]
    if names is not None:
        augmenter.feature_names_in_ = names = np.asarray(names, dtype=object)
    codes = find_codes(names, rows, augmenter.code_features)
    targets = None
    if content["targets"] is not None:
        targets = TargetCodec.restore(**from_json(content["targets"]))
    labeler = None if content["labeler"] is None else labeler_from_json(content["labeler"])
    gan = IteratedGAN(
        TableCodec(
            codes, find_blocks(names, rows, codes), rows, DerivedColumns(names, codes, rows)
        ),
        targets,
        labeler,
        names,
        network=from_json(content["network"]),
        training=from_json(content["training"]),
    )
    gan.history = augmenter.history_
    for number, packed in enumerate(content["networks"]):
        prefix = f"{number}."
        state = {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
        config = from_json(packed)
        with initial_weights():
            network = load_network(functools.partial(InfoGAN, **config), config, state)
        gan.gans.append(network.eval())
    augmenter.gans_, augmenter.labeler_ = gan.gans, labeler
    return augmenter, gan, rows
