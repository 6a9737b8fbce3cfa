"""Data sets: generated offline, or downloaded once and checked."""

import importlib

_ROOMS = {
    "_alloys": ["make_alloys"],
    "_cgcnn": ["fetch_cgcnn_atom_init", "fetch_cgcnn_checkpoint", "fetch_cgcnn_sample"],
    "_fetch": ["get_data_home"],
    "_hea": ["fetch_hea"],
    "_labels": [
        "check_compositions",
        "check_energies",
        "check_magnetizations",
        "check_moments",
        "check_volumes",
    ],
    "_mixed_halides": ["make_mixed_halide_perovskites"],
    "_mixed_halides_xtb": ["load_mixed_halide_perovskites"],
    "_perovskites": ["fetch_halide_perovskites"],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'sklmat.datasets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"sklmat.datasets.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_HOME])
