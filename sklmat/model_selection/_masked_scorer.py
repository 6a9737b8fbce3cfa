"""`masked_scorer`: scorers of regressors that leave missing labels out and carry the phase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn import metrics
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from sklmat.argument_checks import checked_arguments
from sklmat.known_labels import score_known_labels

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sklmat.typing import ArrayLike

#: Name of a scorer of scikit-learn -> its metric. Names of errors begin with "neg_".
METRICS = {
    "neg_mean_absolute_error": metrics.mean_absolute_error,
    "neg_root_mean_squared_error": metrics.root_mean_squared_error,
    "neg_mean_squared_error": metrics.mean_squared_error,
    "neg_median_absolute_error": metrics.median_absolute_error,
    "neg_mean_absolute_percentage_error": metrics.mean_absolute_percentage_error,
    "explained_variance": metrics.explained_variance_score,
    "r2": metrics.r2_score,
}


class MaskedScorer:
    """Scorer of regressors over the known labels; made by `masked_scorer`.

    Parameters
    ----------
    scoring : str
        Name of the scorer of scikit-learn.
    """

    def __init__(self, scoring: str) -> None:
        if scoring not in METRICS:
            raise ValueError(
                f"scoring={scoring!r} cannot leave missing labels out; {sorted(METRICS)} can"
            )
        self.scoring = scoring
        self._requests: dict[str, bool | str | None] = {"phase": True, "sample_weight": None}

    def __call__(
        self,
        estimator: BaseEstimator,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        **metadata: Any,
    ) -> float:
        """Score the predictions of a fitted estimator.

        Parameters
        ----------
        estimator : fitted regressor
        X : sequence of C crystals, CrystalGraphs or table
        y : array-like of shape (C,) or (C, n_targets)
            Labels; NaN where a label is missing.
        sample_weight : array-like of shape (C,), default=None
        **metadata
            Metadata of the rows, such as the phase, for ``predict`` of an estimator that asks for
            it.

        Returns
        -------
        float
            Higher is better.
        """
        if metadata:
            # `predict` of a search takes no metadata; that of its best estimator does.
            estimator = getattr(estimator, "best_estimator_", estimator)
            taken = get_routing_for_object(estimator).consumes("predict", metadata)
            metadata = {name: metadata[name] for name in taken}
        return self.score_predictions(y, estimator.predict(X, **metadata), sample_weight)

    def score_predictions(
        self, y: ArrayLike, predictions: np.ndarray, sample_weight: ArrayLike | None = None
    ) -> float:
        """Score given predictions, in the sign of the scorer; parameters as in a call."""
        score = score_known_labels(METRICS[self.scoring], y, predictions, sample_weight)
        return -score if self.scoring.startswith("neg_") else score

    def set_score_request(self, **requests: bool | str | None) -> Self:
        """Ask for metadata, as for a scorer of scikit-learn; the phase is asked for by default.

        Parameters
        ----------
        **requests
            Name of the metadata -> True, False, None or the name under which it is passed.

        Returns
        -------
        self
        """
        self._requests |= requests
        return self

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the requested metadata, for the metadata routing of scikit-learn."""
        request = MetadataRequest(owner=repr(self))
        for name, alias in self._requests.items():
            request.score.add_request(param=name, alias=alias)
        return request

    def __repr__(self) -> str:
        return f"masked_scorer({self.scoring!r})"


@checked_arguments()
def masked_scorer(scoring: str) -> MaskedScorer:
    """Make a scorer of regressors that leaves missing labels out.

    The scorers of scikit-learn refuse NaN in `y`. This one computes the score of each target over
    the rows whose label is known, and takes the mean over the targets. If no label is missing, it
    gives the score of scikit-learn.

    Parameters
    ----------
    scoring : str
        Name of the scorer: "neg_mean_absolute_error", "neg_root_mean_squared_error",
        "neg_mean_squared_error", "neg_median_absolute_error",
        "neg_mean_absolute_percentage_error", "explained_variance" or "r2".

    Returns
    -------
    scorer : callable
        ``scorer(estimator, X, y)``, for the parameter `scoring` of `cross_validate`,
        `GridSearchCV`, `compare_estimators` and others. With the metadata routing of scikit-learn,
        it passes the phase to ``predict`` of estimators that take it, such as
        ``EFTGANRegressor(predict_from="composition")``.

    Raises
    ------
    ValueError
        When there is no scorer of this name; and when the scorer is called, if a target has no
        known label or, for R², fewer than two.

    See Also
    --------
    compare_estimators : Uses these scorers by itself where labels are missing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklmat.model_selection import masked_scorer
    >>> X = np.arange(4.0).reshape(-1, 1)
    >>> model = LinearRegression().fit(X, np.column_stack([X, 2 * X]))
    >>> y = [[0.0, np.nan], [2.0, np.nan], [2.0, 5.0], [4.0, 6.0]]  # mean errors 0.5 and 0.5
    >>> round(masked_scorer("neg_mean_absolute_error")(model, X, y), 6)
    -0.5
    """
    return MaskedScorer(scoring)
