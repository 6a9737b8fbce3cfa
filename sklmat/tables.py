"""`refuse_unusable_columns`: validation of a table of numbers before scikit-learn converts it."""

from __future__ import annotations

from typing import Any

from sklmat.targets import number_array


def refuse_unusable_columns(X: Any) -> None:
    """Raise a ValueError for column names that occur twice, and for values that are no numbers.

    scikit-learn would convert the table with an error that names neither column nor row.

    Parameters
    ----------
    X : DataFrame of pandas, or anything else, which is left to scikit-learn

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmat.tables import refuse_unusable_columns
    >>> refuse_unusable_columns(pd.DataFrame({"a": [1, 2], "b": [1, "x"]}))
    Traceback (most recent call last):
        ...
    ValueError: the column 'b' of X holds 'x' in row 1, which is no number
    """
    if not (hasattr(X, "columns") and hasattr(X, "iloc")):
        return
    names = X.columns.tolist()
    repeated = X.columns[X.columns.duplicated()].tolist()
    if repeated:
        raise ValueError(f"X has the column {repeated[0]!r} twice; give each column its own name")
    for place, name in enumerate(names):
        if getattr(X.dtypes.iloc[place], "kind", "O") in "Oc":
            number_array(X.iloc[:, place], f"the column {name!r} of X")
