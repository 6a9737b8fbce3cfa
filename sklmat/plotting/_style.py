"""Colours, markers and what decides between groups and a scale."""

import pandas as pd

# Okabe and Ito's palette without yellow, which is too faint on white; each colour also has its own
# marker, so that groups stay apart in print.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
RASTERIZE_ABOVE = 5_000


def is_grouping(keys, name):
    """Whether a Series is drawn as groups with a legend, and not on a scale of colours.

    Strings, or as few different values as there are colours, are. `name` is that of the parameter,
    for the errors.
    """
    if keys.isna().any():
        raise ValueError(f"{name} has {keys.isna().sum()} missing entries")
    few = keys.nunique() <= len(COLORS)
    if not few and not pd.api.types.is_numeric_dtype(keys):
        raise ValueError(
            f"{name} has {keys.nunique()} groups; at most {len(COLORS)} can be told apart"
        )
    return few
