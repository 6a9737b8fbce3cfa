"""`contrast`: compares the descriptors of adversarial and normal examples statistically."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import gammaln, nctdtrinc

from sklmat.argument_checks import checked_arguments
from sklmat.targets import number_array

if TYPE_CHECKING:
    from sklmat.typing import Table

#: Differences in a column count as rounding errors if they are smaller than this fraction of the
#: largest magnitude, plus an absolute tolerance for columns in which all values are near zero.
_RELATIVE_ROUNDING, _ABSOLUTE_ROUNDING = 1e-9, 1e-14
#: Above this t statistic the limits of its noncentrality are proportional to t (within 2e-4).
_LARGE_T = 1e3
_COLUMNS = (
    "rank",
    "effect size",
    "low",
    "high",
    "p",
    "p corrected",
    "mean adversarial",
    "mean normal",
    "n adversarial",
    "n normal",
)


@checked_arguments(confidence_level=None)
def contrast(
    adversarial: Table,
    normal: Table,
    features: Sequence[str] | None = None,
    *,
    confidence_level: float = 0.95,
) -> pd.DataFrame:
    """Compare descriptors of adversarial and normal examples: effect sizes and tests.

    Parameters
    ----------
    adversarial : DataFrame or array-like of shape (n, F)
        Descriptors of the unperturbed crystals, one row per adversarial example.
    normal : DataFrame or array-like of shape (m, F)
        The same descriptors, one row per normal example: a crystal whose prediction is right and
        stays right under the attack. Columns of DataFrames are matched by name.
    features : sequence of str, default=None
        For DataFrames: the columns to compare, by default all. For arrays: the names of all F
        columns, by default their positions.
    confidence_level : float, default=0.95
        Level of the confidence intervals of the effect sizes.

    Returns
    -------
    table : DataFrame
        One row per descriptor, the largest effect first, with the columns

        - ``rank``: 1 is the largest effect in magnitude;
        - ``effect size``: Hedges' g, the difference of the means (adversarial minus normal) in
          pooled standard deviations, corrected for its bias in small samples;
        - ``low``, ``high``: limits of the confidence interval of the effect size;
        - ``p``: two-sided p-value of the Mann-Whitney test;
        - ``p corrected``: p-value with the Benjamini-Hochberg correction over all descriptors that
          could be tested;
        - ``mean adversarial``, ``mean normal``: means in the unit of the descriptor;
        - ``n adversarial``, ``n normal``: numbers of values that are not missing.

        ``table.attrs["confidence_level"]`` holds the level.

    Raises
    ------
    ValueError
        When a table has fewer than two rows, the tables differ in their columns, a name is
        unknown or occurs twice, or a column holds anything but numbers and missing values.
    TypeError
        When one table is a DataFrame and the other is not.

    See Also
    --------
    ContrastDisplay : Draws the table.

    Notes
    -----
    With means :math:`m`, pooled standard deviation :math:`s` and :math:`\\nu = n_1 + n_2 - 2`,

    .. math:: g = J(\\nu)\\,\\frac{m_1 - m_2}{s}, \\qquad
        J(\\nu) = \\frac{\\Gamma(\\nu/2)}{\\sqrt{\\nu/2}\\;\\Gamma((\\nu-1)/2)}

    is an unbiased estimate of the true standardised difference [1]_. The confidence interval comes
    from the noncentral t distribution [2]_: at each of its limits, the probability of a t statistic
    at least as extreme as the observed one is (1 - `confidence_level`) / 2. The interval is exact
    for normal distributions of equal variance and any sample size. The Mann-Whitney test compares
    ranks, so a descriptor with a heavy tail can have a small p although its interval contains
    zero; the test is then more reliable.

    The correction [3]_ limits the expected fraction of false discoveries among the descriptors
    called significant. It is valid for independent and for positively dependent descriptors.
    Correlated descriptors have similar effects; a large effect does not show a cause.

    A row in which some descriptors are missing is still used for its other descriptors. A
    descriptor has NaN as effect, interval and p, and comes last, if fewer than two values remain in
    either table or if all values of both tables are the same. If the values are constant within
    each table but differ between the tables, the effect is infinite and has no interval. Values
    count as the same when they differ by less than 1e-9 of the largest magnitude in their column,
    plus 1e-14: the descriptors of ideal crystals may differ by rounding errors only, which must not
    change their ranks.

    References
    ----------
    .. [1] L. V. Hedges, J. Educ. Stat. 6, 107 (1981). :doi:`10.3102/10769986006002107`
    .. [2] G. Cumming, S. Finch, Educ. Psychol. Meas. 61, 532 (2001).
       :doi:`10.1177/0013164401614002`
    .. [3] Y. Benjamini, Y. Hochberg, J. R. Stat. Soc. B 57, 289 (1995).
       :doi:`10.1111/j.2517-6161.1995.tb02031.x`

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmat.adversarial import contrast
    >>> distorted = pd.DataFrame({"tilt (°)": [8.0, 9.0, 10.0], "volume (Å³)": [50.0, 52.0, 51.0]})
    >>> others = pd.DataFrame({"tilt (°)": [2.0, 3.0, 4.0], "volume (Å³)": [51.0, 50.0, 52.0]})
    >>> table = contrast(distorted, others)
    >>> table[["rank", "effect size", "low", "high", "p"]].round(2)
                 rank  effect size   low   high    p
    descriptor
    tilt (°)        1         4.79  1.71  10.28  0.1
    volume (Å³)     2         0.00 -1.60   1.60  1.0
    """
    if not (isinstance(confidence_level, Real) and 0 < confidence_level < 1):
        raise ValueError(f"confidence_level must lie between 0 and 1, got {confidence_level}")
    names, first, second = _common_descriptors(adversarial, normal, features)
    rows = [_compare(a, b, confidence_level) for a, b in zip(first.T, second.T)]
    table = pd.DataFrame(rows, index=pd.Index(names, name="descriptor"))
    tested = table["p"].notna()
    table["p corrected"] = np.nan
    if tested.any():
        corrected = stats.false_discovery_control(table.loc[tested, "p"])
        table.loc[tested, "p corrected"] = corrected
    # A stable sort leaves equal effects in the order of the columns.
    order = np.argsort(-table["effect size"].abs().to_numpy(), kind="stable")
    table = table.iloc[order].assign(rank=np.arange(1, len(table) + 1))[list(_COLUMNS)]
    table.attrs["confidence_level"] = confidence_level
    return table


def _compare(adversarial, normal, confidence_level):
    """One row of the table, from the values of one descriptor that are not missing."""
    adversarial, normal = adversarial[~np.isnan(adversarial)], normal[~np.isnan(normal)]
    n_adversarial, n_normal = len(adversarial), len(normal)
    row = {
        "mean adversarial": adversarial.mean() if n_adversarial else np.nan,
        "mean normal": normal.mean() if n_normal else np.nan,
        "n adversarial": n_adversarial,
        "n normal": n_normal,
    }
    row |= dict.fromkeys(("effect size", "low", "high", "p"), np.nan)
    if min(n_adversarial, n_normal) < 2:
        return row
    values = np.concatenate([adversarial, normal])
    rounding = _RELATIVE_ROUNDING * np.abs(values).max() + _ABSOLUTE_ROUNDING
    if np.ptp(values) <= rounding:
        return row
    # In multiples of the tolerance, so that values which differ by rounding errors are ties.
    row["p"] = stats.mannwhitneyu(
        np.rint(adversarial / rounding), np.rint(normal / rounding)
    ).pvalue
    difference = row["mean adversarial"] - row["mean normal"]
    if max(np.ptp(adversarial), np.ptp(normal)) <= rounding:
        return row | {"effect size": np.copysign(np.inf, difference)}
    df = n_adversarial + n_normal - 2
    deviation = np.sqrt((adversarial.var() * n_adversarial + normal.var() * n_normal) / df)
    per_t = np.sqrt(1 / n_adversarial + 1 / n_normal)
    row["effect size"] = _bias_correction(df) * difference / deviation
    t = difference / (deviation * per_t)
    row["low"], row["high"] = per_t * _noncentrality_limits(t, df, confidence_level)
    return row


def _bias_correction(df):
    """The factor J that makes a standardised difference of means unbiased."""
    return np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) / np.sqrt(df / 2)


def _noncentrality_limits(t, df, confidence_level):
    """Confidence limits of the noncentrality parameter of an observed t, ndarray of shape (2,)."""
    tails = np.array([1 + confidence_level, 1 - confidence_level]) / 2
    clipped = np.clip(t, -_LARGE_T, _LARGE_T)
    limits = nctdtrinc(df, tails, clipped)
    return limits * (t / clipped) if clipped != t else limits


def _common_descriptors(adversarial, normal, features):
    """Names of F descriptors, and their values, float64 arrays of shape (n, F) and (m, F)."""
    are_frames = [isinstance(table, pd.DataFrame) for table in (adversarial, normal)]
    if are_frames[0] != are_frames[1]:
        raise TypeError("adversarial and normal must both be DataFrames, or both arrays")
    if are_frames[0]:
        names = _common_columns(adversarial, normal, features)
        adversarial, normal = adversarial[names], normal[names]
    else:
        adversarial, normal = (pd.DataFrame(np.asarray(table)) for table in (adversarial, normal))
        if adversarial.shape[1] != normal.shape[1]:
            raise ValueError(
                f"adversarial has {adversarial.shape[1]} columns and normal {normal.shape[1]}; "
                "pass tables of the same descriptors"
            )
        names = list(adversarial if features is None else features)
        if len(names) != adversarial.shape[1]:
            raise ValueError(
                f"features has {len(names)} names for arrays of {adversarial.shape[1]} columns; "
                "name them all, or pass DataFrames to choose among columns"
            )
    if not names:
        raise ValueError("there is no descriptor to compare; name at least one in features")
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"descriptor {repeated!r} occurs twice; give each its own name")
    return names, _numbers(adversarial, names, "adversarial"), _numbers(normal, names, "normal")


def _common_columns(adversarial, normal, features):
    """The columns to compare, in the order of `features` or of `adversarial`."""
    columns = {"adversarial": list(adversarial), "normal": list(normal)}
    first, second = columns.values()
    if features is None:
        if len(first) != len(second) or set(first) != set(second):
            different = sorted(set(first) ^ set(second), key=str)
            raise ValueError(
                f"the tables differ in their columns: {different[:5]} ({len(first)} in "
                f"adversarial, {len(second)} in normal); name common ones in features"
            )
        return first
    if isinstance(features, str):
        raise ValueError(f"features must be a sequence of names, got the string {features!r}")
    names = list(features)
    for table_name, known in columns.items():
        unknown = [name for name in names if name not in known]
        if unknown:
            raise ValueError(f"{table_name} has no column {unknown[0]!r}")
    return names


def _numbers(table, names, table_name):
    """A float64 array of a DataFrame; NaN where an entry is missing."""
    if len(table) < 2:
        raise ValueError(
            f"{table_name} has {len(table)} rows; a spread needs two or more"
            + (": find more examples with a larger budget" if table_name == "adversarial" else "")
        )
    values = np.empty(table.shape)
    for k, name in enumerate(names):
        column = table.iloc[:, k]
        known = column.dropna()
        dtype = known.infer_objects().dtype
        has_numbers = pd.api.types.is_numeric_dtype(dtype) or any(
            isinstance(value, Real) for value in known
        )
        if len(known) and not has_numbers:
            raise ValueError(
                f"descriptor {name!r} of {table_name} holds no numbers (dtype {dtype}); encode it, "
                "or leave it out"
            )
        values[:, k] = number_array(column, f"descriptor {name!r} of {table_name}")
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0]
        raise ValueError(
            f"descriptor {names[column]!r} of {table_name} is infinite in row {row}; set it to NaN "
            "to leave it out"
        )
    return values
