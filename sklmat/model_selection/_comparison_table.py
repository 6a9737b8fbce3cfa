"""The table that a comparison of estimators returns."""

import numpy as np
import pandas as pd


class Comparison(pd.DataFrame):
    """What `compare_estimators` returns: a DataFrame that also carries what it was made from.

    One row per estimator; everything a DataFrame does works (tables derived from it are plain
    DataFrames).

    Attributes
    ----------
    scores : DataFrame
        One row per estimator and fold: ``estimator``, ``fold``, ``n_train``, ``n_test``, a column
        per metric, ``fit seconds`` and ``predict seconds``.
    predictions : DataFrame
        Out-of-fold predictions, one line per tested row (and target): ``row`` (place in `X`),
        ``fold``, ``repeat`` (0 the first time a row is tested), ``target`` (when `y` has
        several), ``y_true`` and a column per estimator.
    """

    _metadata = ["predictions", "scores"]

    @property
    def _constructor(self):
        return pd.DataFrame

    def summary(self, digits=3):
        """Format as "mean ± sd" strings for a terminal or a report.

        Parameters
        ----------
        digits : int, default=3
            Significant digits of a mean score; seconds have two. More are shown where the standard
            deviation, which gets the same decimals, would otherwise read as zero.

        Returns
        -------
        table : DataFrame of str
            One column per metric, followed by the p-value of its difference to the reference where
            there is one, and the seconds.
        """
        table = pd.DataFrame(index=self.index)
        for column in self.columns:
            name, _, statistic = column.rpartition(" ")
            if statistic != "mean":
                continue
            n_digits = 2 if name.endswith(" seconds") else digits
            pairs = zip(self[column], self[f"{name} sd"])
            table[name] = [_plus_minus(mean, sd, n_digits) for mean, sd in pairs]
            if f"{name} p" in self:
                values = self[f"{name} p"]
                table[f"{name} p"] = ["" if np.isnan(p) else f"{p:.2g}" for p in values]
        return table


def _plus_minus(mean, sd, digits):
    decimals = max(_decimals(mean, digits), _decimals(sd, 1))
    text = f"{mean:.{decimals}f}"
    return text if np.isnan(sd) else f"{text} ± {sd:.{decimals}f}"


def _decimals(value, digits):
    """Decimals that show `value` to `digits` significant digits."""
    if not np.isfinite(value) or value == 0:
        return 0
    return max(0, digits - 1 - int(np.floor(np.log10(abs(value)))))
