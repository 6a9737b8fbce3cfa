"""`make_bunch`: the Bunch of a data set; `target_names`: the names of its targets."""

import numpy as np


def target_names(target, known):
    """Return `target` as a list of names, all of them in `known`."""
    names = [target] if isinstance(target, str) else list(target)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        problem = f"unknown target {unknown[0]!r}" if unknown else "target is an empty list"
        raise ValueError(f"{problem}; choose from {', '.join(known)}, or a list of them")
    return names


def make_bunch(data, frame, columns, *, multi, descr, return_X_y, **other_items):
    """Build the Bunch (or the tuple) of a data set.

    Parameters
    ----------
    data : list of Structure
    frame : DataFrame
    columns : dict
        Name of each target -> its column of `frame`.
    multi : bool
        Whether the target has two dimensions.
    descr : str
    return_X_y : bool
    **other_items
        Further items of the Bunch.
    """
    from sklearn.utils import Bunch

    target = frame[list(columns.values())].to_numpy(copy=True)
    target = np.ascontiguousarray(target if multi else target[:, 0])
    if return_X_y:
        return data, target
    items = {"target_names": list(columns), **other_items}
    return Bunch(data=data, target=target, frame=frame, DESCR=descr, **items)
