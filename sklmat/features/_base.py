"""What the table featurizers have in common: pandas out by default, rows refused by name."""

import warnings

import numpy as np
import pandas as pd
import sklearn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sklmat.exceptions import InvalidStructureError, InvalidStructureWarning
from sklmat.structures import check_structures, is_graphs


class TableFeaturizer(TransformerMixin, BaseEstimator):
    """Base of transformers from crystals to a table with named columns."""

    def get_feature_names_out(self, input_features=None):
        """Names of the columns.

        Parameters
        ----------
        input_features : None
            Ignored: crystals have no input columns.

        Returns
        -------
        names : ndarray of str, shape (F,)
        """
        check_is_fitted(self)
        return np.asarray(self.feature_names_, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags

    def _table(self, values, X):
        """Return a DataFrame unless `set_output` was asked for something else."""
        asked = getattr(self, "_sklearn_output_config", {}).get("transform")
        if asked == "default" or (asked or sklearn.get_config()["transform_output"]) == "polars":
            return values
        index = X.index if isinstance(X, pd.Series) else None
        return pd.DataFrame(values, columns=self.get_feature_names_out(), index=index)


def load_structures(X, on_invalid):
    """Pass `X` through the one door, refusing graphs, which no longer hold the structures."""
    if is_graphs(X):
        raise TypeError(
            "featurizers need the structures themselves, not CrystalGraphs: pass the structures "
            "that the graphs were built from"
        )
    return check_structures(X, on_invalid=on_invalid)


def refuse(errors, on_invalid):
    """Raise the first of `errors`, or warn of all: rows that the table has no columns for."""
    if errors and on_invalid == "raise":
        raise errors[0]
    if errors:
        lines = "\n".join(f"  {error}" for error in errors)
        warnings.warn(
            f"{len(errors)} of the rows cannot be described and are NaN:\n{lines}",
            InvalidStructureWarning,
            stacklevel=4,
        )


def unseen(kind, rows, formulas, seen):
    """Build one error for each row (a dict row -> names) with something that fit did not see."""
    return [
        InvalidStructureError(
            row,
            formulas(row),
            f"holds the {kind} {', '.join(names)}, which no structure of fit had (seen: "
            f"{', '.join(seen)}); fit on data that has it, or leave this row out",
        )
        for row, names in sorted(rows.items())
    ]
