"""Samplers that add generated rows to a table, and estimators that fit on what they add."""

import importlib

_ROOMS = {
    "_augmented": ["AugmentedClassifier", "AugmentedRegressor"],
    "_infogan": ["InfoGANAugmenter"],
    "_mixup": ["MixupAugmenter"],
    "_noise": ["NoiseAugmenter"],
    "_quality": ["QualityReport"],
}
# Only InfoGANAugmenter needs torch: the others are loaded without it.
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'sklmat.augmentation' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"sklmat.augmentation.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_HOME])
