"""Files in which generated data sets are kept: `cache_path`, `read_cache`, `write_cache`."""

from __future__ import annotations

import hashlib
import json
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np

from sklmat.downloads import get_data_home
from sklmat.files import replace_file
from sklmat.random_state import draw_seed
from sklmat.recorded_warnings import frames_inside


def fixed_seed(random_state):
    """Return an integer seed, and whether the next call with `random_state` gives the same seed."""
    if isinstance(random_state, Integral) and random_state >= 0:
        return int(random_state), True
    return draw_seed(random_state), False


def cache_path(folder, parameters, data_home):
    """Path of the cached file: not in SKLMAT_DATA, which holds downloads and may be shared.

    Parameters
    ----------
    folder : str
    parameters : dict
        What determines the data, in a form that JSON can store.
    data_home : str, Path or None
    """
    import pooch

    home = Path(pooch.os_cache("sklmat")) if data_home is None else get_data_home(data_home)
    key = json.dumps(parameters, sort_keys=True)
    return home / folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"


def read_cache(path):
    """Return the arrays of a cached file, or None."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except Exception as error:  # a damaged archive can raise any exception
        warnings.warn(
            f"{path} cannot be read and is made anew: {error}", stacklevel=frames_inside()
        )
        return None


def write_cache(arrays, path, name):
    """Write the arrays to a cached file; warn when that is not possible.

    Parameters
    ----------
    arrays : dict of ndarray
    path : Path
    name : str
        What was made, for the warning.
    """
    try:
        with replace_file(path, make_folder=True) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        warnings.warn(
            f"the {name} are made, but cannot be kept for the next time ({error}): give a "
            "data_home that can be written to, or cache=False",
            stacklevel=frames_inside(),
        )
