"""Whether the target is a number or a class."""

from __future__ import annotations

import sys
from typing import Literal, NamedTuple

import numpy as np

# Up to so many different whole numbers may stand for classes.
_MAX_CLASSES = 20


class Target(NamedTuple):
    """The target, as the models take it.

    Attributes
    ----------
    task : {"regression", "classification"}
    y : ndarray of shape (C,)
        Numbers, or the numbers of classes.
    classes : list or None
        Classes by number.
    """

    task: Literal["regression", "classification"]
    y: np.ndarray
    classes: list | None


def choose_task(task: Literal["auto", "regression", "classification"], y: np.ndarray) -> Target:
    """Take the target as numbers or as classes.

    Parameters
    ----------
    task : {"auto", "regression", "classification"}
        "auto" takes texts, truth values, and numbers that are all 0 or 1, as classes. What was
        chosen is printed.
    y : ndarray of shape (C,)
    """
    is_number = y.dtype.kind in "iufb"
    if task == "auto":
        task, line = _choice(y)
        print(line, file=sys.stderr)
    if task == "classification":
        classes, numbers = np.unique(y, return_inverse=True)
        if 2 < len(y) == len(classes):
            raise ValueError(
                "the values of the target all differ, so that they are no classes; name another "
                "column with --target"
            )
        return Target("classification", numbers, classes.tolist())
    if not is_number:
        raise ValueError("the target holds texts, not numbers; use --task classification")
    return Target("regression", y.astype(float) if y.dtype.kind == "b" else y, None)


def _choice(y):
    """The task, and a line that says why and how to choose the other."""
    if y.dtype.kind not in "iuf":
        what = "true and false" if y.dtype.kind == "b" else "texts"
        return "classification", f"task: classification, since the target holds {what}"
    values = np.unique(y)
    if values.tolist() == [0, 1]:
        return "classification", (
            "task: classification, since the target holds only 0 and 1; if they are amounts, use "
            "--task regression"
        )
    few = len(values) <= _MAX_CLASSES and 2 * len(values) <= len(y) and (values % 1 == 0).all()
    what = f"only {len(values)} different whole numbers" if few else "numbers"
    return "regression", (
        f"task: regression, since the target holds {what}; if they stand for classes, use --task "
        "classification"
    )
