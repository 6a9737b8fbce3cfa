"""`MixupAugmenter`: convex mixtures of pairs of rows (mix-up, C-mixup)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.augmentation._base_augmenter import BaseAugmenter, draw_evenly
from sklmat.augmentation._codes import find_codes, is_binary
from sklmat.augmentation._derived_columns import DerivedColumns
from sklmat.augmentation._shared_docstrings import SAMPLER_PARAGRAPHS
from sklmat.docstrings import insert_paragraphs
from sklmat.parameter_constraints import Interval

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, RandomState

#: Rows whose partners are drawn at once, so that large tables need no square matrix.
_CHUNK = 256


@insert_paragraphs(SAMPLER_PARAGRAPHS)
class MixupAugmenter(BaseAugmenter):
    """Add convex mixtures of two real rows, labels included.

    A generated row is ``w * a + (1 - w) * b`` of a real row a and another real row b, its partner;
    its label is the same mixture of their labels (mix-up [1]_). With `label_bandwidth`, rows of
    similar labels are mixed more often (C-mixup [2]_), which reduces the error where the label is
    not linear between distant rows.

    Parameters
    ----------
    alpha : float, default=2.0
        The weight w is drawn from Beta(alpha, alpha): near 0 or 1 for a small `alpha`, so that a
        generated row resembles one real row; uniform for ``alpha=1``; near one half for a large
        `alpha`. The default puts most rows between the real ones, where a small table has gaps.
    label_bandwidth : float or None, default=None
        Partners are drawn with a probability proportional to ``exp(-d**2 / (2 h**2))``, where h is
        the bandwidth and d the distance of the labels, both in standard deviations of `y`. With
        several targets, ``d**2`` is the mean over the targets. ``None`` draws partners uniformly.
        The bandwidth has no effect on classes, as rows of different classes are never mixed.
    code_features : sequence of str or int, callable or None, default=None
        Names or positions of columns, or a function of the table that returns them. Two rows are
        mixed only if they have the same values in the 0/1 columns among them, such as
        ``lattice_bcc``; columns of fractions are not compared. ``None`` means all columns of the
        table.
    {n_samples}
    {y_range}
    random_state : int, RandomState or None, default=None
        Seed of rows, partners and weights.

    Attributes
    ----------
    category_features_ : ndarray of int
        Positions of the 0/1 columns in which two rows must agree to be mixed.
    {classes_}
    {sample_origin_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    NoiseAugmenter : Copies with noise.

    Notes
    -----
    Two rows are mixed only if they agree in all columns of `category_features_`, so that no crystal
    is half bcc, and only if they have the same class, so that the mixture has this class. A row
    without a possible partner is not used; all other rows are drawn as row a equally often, up to a
    difference of one. Fractions still sum to one. Columns that describe one element (such as
    ``Fe_0``, ``Fe_1``, ... in tables of `ECNetFeaturizer`) are zero in rows without this element.
    If only one of the two rows contains the element, its values are mixed with these zeros; if
    neither contains the element, the columns stay zero. Columns of `CompositionFeaturizer`, such as
    ``max group``, are not mixed: they are computed from the mixed fractions.

    Differences from [1]_ and [2]_: rows are mixed once before the fit and not again in every batch,
    so that any estimator can use them; rows of different classes are not mixed; and a row is never
    its own partner.

    References
    ----------
    .. [1] H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond empirical risk
       minimization", ICLR (2018). :doi:`10.48550/arXiv.1710.09412`
    .. [2] H. Yao, Y. Wang, L. Zhang, J. Zou, C. Finn, "C-Mixup: Improving generalization in
       regression", NeurIPS (2022). :doi:`10.48550/arXiv.2210.05775`

    Examples
    --------
    >>> import numpy as np
    >>> from sklmat.augmentation import MixupAugmenter
    >>> X = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    >>> mixup = MixupAugmenter(label_bandwidth=0.5, n_samples=2, random_state=0)
    >>> mixed, y = mixup.fit_resample(X, 3 * X[:, 0])
    >>> mixed[3:].round(2), y[3:].round(2)
    (array([[0.58, 0.42],
           [0.36, 0.64]]), array([1.75, 1.09]))
    """

    _parameter_constraints: dict = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "label_bandwidth": [Interval(Real, 0, None, closed="neither"), None],
        "code_features": ["array-like", str, callable, None],
        **BaseAugmenter._parameter_constraints,
    }

    def __init__(
        self,
        *,
        alpha: float = 2.0,
        label_bandwidth: float | None = None,
        code_features: Sequence[str | int] | Callable[..., Any] | None = None,
        n_samples: int | float = 1.0,
        y_range: tuple[ArrayLike | float | None, ArrayLike | float | None] | None = None,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(n_samples=n_samples, y_range=y_range, random_state=random_state)
        self.alpha = alpha
        self.label_bandwidth = label_bandwidth
        self.code_features = code_features

    def _learn(self, X, y):
        by_label = self.label_bandwidth is not None and self.classes_ is None
        self._scaled_labels = _scaled(y) if by_label else None
        names = getattr(self, "feature_names_in_", None)
        codes = find_codes(names, X, self.code_features, required=False)
        self._derived = DerivedColumns(names, codes, X)
        self.category_features_ = self._categories(X, codes)
        category = X[:, self.category_features_]
        if self.classes_ is not None:
            category = np.column_stack([category, y])
        _, number, counts = np.unique(category, axis=0, return_inverse=True, return_counts=True)
        self._category = number.ravel()
        self._mixable = np.flatnonzero(counts[self._category] > 1)
        if not len(self._mixable):
            raise ValueError(
                "MixupAugmenter found no two rows to mix: each is the only one with its class and "
                "its values in the columns of zeros and ones; name those that matter with "
                "code_features"
            )
        self._rows, self._labels = X, y

    def _generate(self, n, rng):
        first = self._mixable[draw_evenly(len(self._mixable), n, rng)]
        chunks = np.split(first, range(_CHUNK, n, _CHUNK))
        second = np.concatenate([self._draw_partners(chunk, rng) for chunk in chunks])
        weight = rng.beta(self.alpha, self.alpha, size=(n, 1))
        rows = self._derived.fill(_mix(self._rows, first, second, weight))
        if self.classes_ is not None:
            return rows, self._labels[first]
        labels = self._labels.reshape(len(self._labels), -1)
        return rows, _mix(labels, first, second, weight).reshape(n, *self._labels.shape[1:])

    def _categories(self, X, codes):
        """Return the columns in which two rows must agree."""
        columns = np.arange(X.shape[1]) if self.code_features is None else codes.columns
        binary = is_binary(X)
        return np.setdiff1d(columns[binary[columns]], [*codes.fractions, *self._derived.columns])

    def _draw_partners(self, rows, rng):
        """Draw a partner for each of `rows`: the largest log-probability plus Gumbel noise."""
        log_odds = np.where(self._category[rows, None] == self._category, 0.0, -np.inf)
        log_odds[np.arange(len(rows)), rows] = -np.inf
        if self._scaled_labels is not None:
            distance = self._scaled_labels[rows, None] - self._scaled_labels
            with np.errstate(over="ignore"):
                variance = np.float64(self.label_bandwidth) ** 2
            log_odds -= (distance**2).mean(axis=2) / (2 * variance)
        return (log_odds + rng.gumbel(size=log_odds.shape)).argmax(axis=1)


def _mix(values, first, second, weight):
    """Mix the two rows of each pair; entries that are equal in both stay exactly the same."""
    return values[second] + weight * (values[first] - values[second])


def _scaled(y):
    """Return the labels in units of their standard deviations, of shape (n, T)."""
    if y is None:
        raise ValueError("label_bandwidth compares labels: pass y")
    y = y.reshape(len(y), -1)
    deviation = y.std(axis=0)
    return y / np.where(deviation > 0, deviation, 1.0)
