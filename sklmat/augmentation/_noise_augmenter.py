"""`NoiseAugmenter`: copies of rows with Gaussian noise on their descriptors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from sklmat.augmentation._base_augmenter import BaseAugmenter, draw_evenly
from sklmat.augmentation._codes import find_blocks, find_codes, is_binary
from sklmat.augmentation._derived_columns import derived_columns
from sklmat.augmentation._shared_docstrings import SAMPLER_PARAGRAPHS
from sklmat.docstrings import insert_paragraphs
from sklmat.parameter_constraints import Interval

if TYPE_CHECKING:
    from sklmat.typing import ArrayLike, RandomState


@insert_paragraphs(SAMPLER_PARAGRAPHS)
class NoiseAugmenter(BaseAugmenter):
    """Add copies of the real rows with Gaussian noise on their descriptors.

    A copy keeps the composition, phase and label of its row, and the zeros of absent elements. Only
    its other descriptors are perturbed. For a regressor this is a form of regularisation, and the
    baseline for more complex augmentation methods.

    Parameters
    ----------
    scale : float, default=0.2
        Standard deviation of the noise, relative to the standard deviation of each column over the
        real rows. With values far below the default the rows are nearly exact copies. The best
        value depends on the data: choose it by a hyper-parameter search.
    code_features : sequence of str or int, callable or None, default=None
        Columns without noise. ``None`` takes the fractions ``x_*`` and the 0/1 columns
        ``lattice_*`` and ``phase_*`` by name, and on a plain array the leading columns whose rows
        sum to one, if there are any.
    {n_samples}
    {y_range}
    random_state : int, RandomState or None, default=None
        Seed of the choice of rows and of the noise.

    Attributes
    ----------
    code_features_ : ndarray of int
        Positions of the columns found for `code_features`.
    noise_scale_ : ndarray of shape (F,)
        Standard deviation of the noise of each column, in the unit of the column; 0 for no noise.
    {classes_}
    {sample_origin_}
    {n_features_in_}
    {feature_names_in_}

    See Also
    --------
    MixupAugmenter : Convex mixtures of two rows.

    Notes
    -----
    No noise is added to code columns, constant columns, columns of zeros and ones, and the columns
    of `CompositionFeaturizer`, since a copy keeps its composition. In a column that describes an
    element, such as ``Fe_3``, no noise is added in rows that do not contain the element (``x_Fe``
    is 0), and the standard deviation is computed over the other rows. In a plain array, a column
    describes an element if it is zero in all rows in which the fraction of this element is zero.
    Every other column is treated as continuous: counts become non-integers, and relations between
    these columns no longer hold exactly.

    The numbers of copies of any two real rows differ by at most one.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmat.augmentation import NoiseAugmenter
    >>> X = pd.DataFrame({"x_Fe": [1.0, 0.5, 0.3], "x_Ni": [0.0, 0.5, 0.7]})
    >>> X["Ni_0"], X["volume per atom (Å³)"] = [0.0, 1.5, 2.5], [11.8, 11.4, 11.2]
    >>> noisy, y = NoiseAugmenter(random_state=0).fit_resample(X, [0.1, 0.3, 0.2])
    >>> noisy.round(2)
       x_Fe  x_Ni  Ni_0  volume per atom (Å³)
    0   1.0   0.0  0.00                 11.80
    1   0.5   0.5  1.50                 11.40
    2   0.3   0.7  2.50                 11.20
    3   1.0   0.0  0.00                 11.73
    4   0.3   0.7  2.37                 11.16
    5   0.5   0.5  1.41                 11.41
    """

    _parameter_constraints: dict = {
        "scale": [Interval(Real, 0, None, closed="neither")],
        "code_features": ["array-like", str, callable, None],
        **BaseAugmenter._parameter_constraints,
    }

    def __init__(
        self,
        *,
        scale: float = 0.2,
        code_features: Sequence[str | int] | Callable[..., Any] | None = None,
        n_samples: int | float = 1.0,
        y_range: tuple[ArrayLike | float | None, ArrayLike | float | None] | None = None,
        random_state: RandomState = None,
    ) -> None:
        super().__init__(n_samples=n_samples, y_range=y_range, random_state=random_state)
        self.scale = scale
        self.code_features = code_features

    def _learn(self, X, y):
        names = getattr(self, "feature_names_in_", None)
        codes = find_codes(names, X, self.code_features, required=False)
        blocks = find_blocks(names, X, codes)
        present = np.ones(X.shape, dtype=bool)
        of_element = blocks >= 0
        present[:, of_element] = X[:, blocks[of_element]] != 0
        fixed = is_binary(X)
        fixed[codes.columns] = True
        fixed[derived_columns(names, codes)] = True
        deviation = np.where(fixed, 0.0, X.std(axis=0, where=present))
        if not deviation.any():
            raise ValueError(
                "NoiseAugmenter found nothing to disturb: every column is constant, a code "
                "column, follows from the composition, or holds only zeros and ones, so generated "
                "rows would be copies"
            )
        self.code_features_ = codes.columns
        self.noise_scale_ = self.scale * deviation
        self._rows, self._labels, self._present = X, y, present

    def _generate(self, n, rng):
        source = draw_evenly(len(self._rows), n, rng)
        noise = rng.normal(size=(n, self._rows.shape[1])) * self.noise_scale_
        return self._rows[source] + noise * self._present[source], self._labels[source]
