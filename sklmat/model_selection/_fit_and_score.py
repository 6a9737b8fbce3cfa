"""`fit_and_score`: fits one estimator on the training rows of a split, and scores the test rows."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import _safe_indexing
from sklearn.utils.metadata_routing import get_routing_for_object

from sklmat.exceptions import ERRORS_OF_ROWS, with_row_of_input
from sklmat.model_selection._comparison_scores import score_fold
from sklmat.tables import explain_refused_values
from sklmat.targets import as_numbers, explain_missing_labels
from sklmat.unseen_elements import UnseenElements, gather_unseen_elements, warn_unseen_elements

_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}"


@dataclass(frozen=True)
class FitOptions:
    """What to do when a fit fails, and what to keep of it.

    Parameters
    ----------
    error_score : "raise" or float, default="raise"
        As in `compare_estimators`.
    agreeing : ndarray of bool, shape (C,), or None
        Rows that agree with their twins, if each metric is also computed for these.
    keeps_probabilities : bool, default=False
        Whether to keep the probabilities of classes.
    keeps_estimators : bool, default=False
        Whether to keep the fitted estimators.
    """

    error_score: Any = "raise"
    agreeing: np.ndarray | None = None
    keeps_probabilities: bool = False
    keeps_estimators: bool = False


@dataclass
class FoldResult:
    """Result of one estimator on one split.

    Parameters
    ----------
    estimator : str
        Name of the estimator.
    fold : int
        Number of the split.
    scores : dict of str to float
        Metric -> score in its natural sign.
    fit_time, predict_time : float
        Seconds; NaN when the fit failed.
    predictions : ndarray or None
        Predictions for the test rows; None when the fit failed.
    unseen : UnseenElements
        By row of `X`.
    training_data : tuple of str
        What the pre-trained models in the estimator were trained on.
    classes, probabilities : ndarray or None
        Classes of a fitted classifier, and their probabilities for the test rows.
    fitted : estimator or None
        The fitted estimator, if it is kept.
    """

    estimator: str
    fold: int
    scores: dict[str, float]
    fit_time: float = np.nan
    predict_time: float = np.nan
    predictions: np.ndarray | None = None
    unseen: UnseenElements = field(default_factory=UnseenElements)
    training_data: tuple[str, ...] = ()
    classes: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    fitted: BaseEstimator | None = None


def without_disagreeing(name):
    """Name of what is left of a metric, or count, without rows that disagree with their twins."""
    return f"{name} without disagreeing twins"


def check_estimators(estimators, reference=None, refused=()):
    """Check that estimators can be compared; return whether they are classifiers."""
    if not isinstance(estimators, Mapping) or not estimators:
        raise TypeError("estimators must be a non-empty dict from name to estimator")
    if reference is not None and reference not in estimators:
        raise ValueError(f"reference={reference!r} is not among {list(estimators)}")
    for name, estimator in estimators.items():
        if not isinstance(name, str) or name in refused:
            raise ValueError(f"{name!r} cannot name an estimator: use a string outside {refused}")
        if isinstance(estimator, type):
            raise TypeError(f"{name!r} is a class; pass an instance, {estimator.__name__}(...)")
        if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
            raise TypeError(f"{name!r} has no fit and predict: {estimator!r}")
    classifiers = [name for name, estimator in estimators.items() if is_classifier(estimator)]
    if 0 < len(classifiers) < len(estimators):
        raise ValueError(f"{classifiers} are classifiers and the others are not; compare one kind")
    return bool(classifiers)


def check_params(params, estimators):
    """Refuse metadata that no estimator asks for."""
    for name in params:
        pairs = product(estimators.values(), ("fit", "predict"))
        if not any(name in _taken(estimator, method, params) for estimator, method in pairs):
            raise TypeError(
                f"no estimator asks for params={{{name!r}: ...}}; leave it out, or call "
                f"set_fit_request({name}=True) of an estimator that takes it"
            )


def known_labels(y):
    """Mask of the known labels of several targets; None if none is missing."""
    if np.ndim(y) != 2:
        return None
    known = ~np.isnan(as_numbers(y))
    return None if known.all() else known


def check_error_score(error_score):
    """Refuse anything but "raise" and numbers."""
    if error_score != "raise" and not isinstance(error_score, Real):
        raise ValueError(f"error_score must be 'raise' or a number, got {error_score!r}")


def fit_and_score(
    estimators, X, y, params, splits, contexts, scorers, signs, options, name, number
):
    """Fit a clone on one split.

    Parameters
    ----------
    estimators : dict of str to estimator
    X, y, params
        As in `compare_estimators`.
    splits : list of (train, test)
        Row numbers of each split.
    contexts : list of str
        What to call each split in errors, such as "fold 0 of 0-4".
    scorers, signs : dict
        By the name of the metric.
    options : FitOptions
    name : str
        Name of the estimator.
    number : int
        Number of the split.

    Returns
    -------
    FoldResult
    """
    train, test = splits[number]
    X_train, y_train = _safe_indexing(X, train), _safe_indexing(y, train)
    X_test, y_test = _safe_indexing(X, test), _safe_indexing(y, test)
    rows = train
    classes = probabilities = None
    try:
        with config_context(**({"enable_metadata_routing": True} if params else {})):
            model = clone(estimators[name])
            start = time.perf_counter()
            with explain_missing_labels(y, train), explain_refused_values(X_train):
                model.fit(X_train, y_train, **_rows_of(params, model, "fit", train))
            end_of_fit = time.perf_counter()
            rows = test
            with gather_unseen_elements() as gathered, explain_refused_values(X_test):
                taken = _rows_of(params, model, "predict", test)
                predictions = np.asarray(model.predict(X_test, **taken))
                end_of_predict = time.perf_counter()
                if predictions.shape != np.shape(y_test):
                    raise ValueError(
                        f"predicted {predictions.shape} for y of shape {np.shape(y_test)}"
                    )
                scores = score_fold(model, scorers, X_test, y_test, predictions)
            gives_probabilities = hasattr(model, "predict_proba") and hasattr(model, "classes_")
            if options.keeps_probabilities and gives_probabilities:
                with gather_unseen_elements():  # They are known from `predict`.
                    taken = _rows_of(params, model, "predict_proba", test)
                    probabilities = np.asarray(model.predict_proba(X_test, **taken))
                classes = np.asarray(model.classes_)
            of_agreeing = {}
            if options.agreeing is not None:
                kept = np.flatnonzero(options.agreeing[test])
                of_agreeing = dict.fromkeys(scorers, np.nan)
                if len(kept):
                    with gather_unseen_elements():
                        parts = (_safe_indexing(each, kept) for each in (X_test, y_test))
                        of_agreeing = score_fold(model, scorers, *parts, predictions[kept])
    except Exception as error:
        context = f"estimator {name!r}, {contexts[number]}"
        if options.error_score == "raise":
            _raise_with_context(error, context, rows)
        message = f"{context} failed: {type(error).__name__}: {error}"
        warnings.warn(message, FitFailedWarning, stacklevel=2)
        # The error score is given in the natural sign.
        failed = [
            *scorers,
            *([] if options.agreeing is None else map(without_disagreeing, scorers)),
        ]
        return FoldResult(name, number, dict.fromkeys(failed, options.error_score))
    natural = {metric: sign * scores[metric] for metric, sign in signs.items()}
    natural |= {without_disagreeing(m): signs[m] * value for m, value in of_agreeing.items()}
    # The estimator has counted the rows of this fold.
    by_row = {int(test[row]): symbols for row, symbols in gathered.symbols.items()}
    return FoldResult(
        name,
        number,
        natural,
        end_of_fit - start,
        end_of_predict - end_of_fit,
        predictions,
        UnseenElements(by_row, gathered.consequences),
        tuple(_training_data(model, set())),
        classes,
        probabilities,
        model if options.keeps_estimators else None,
    )


def collect_results(
    fits: Iterable[FoldResult],
    *,
    n_fits: int,
    n_first: int,
    verbose: bool,
    description: str,
    those_that_know: str = "no training row of their fold",
) -> list[FoldResult]:
    """List the results of all fits, with a progress bar, and warn of unseen elements.

    Parameters
    ----------
    fits : iterable of FoldResult
        May be a generator that makes the fits.
    n_fits, n_first : int
        Number of fits, and number of those after which the bar shows the expected time.
    verbose : bool
        Whether to show the bar.
    description : str
        Text at the left of the bar.
    those_that_know : str, default="no training row of their fold"
        In the warning: which rows had none of the unseen elements.

    Returns
    -------
    list of FoldResult
    """
    from tqdm.auto import tqdm

    bar = tqdm(
        fits,
        total=n_fits,
        disable=not verbose,
        desc=description,
        unit="fit",
        # The mean over all fits so far, as those of one estimator take longer than of another.
        smoothing=0,
        bar_format=_BAR + "]",
    )
    results = []
    for result in bar:
        results.append(result)
        if len(results) == n_first:
            # Only now is it known how long a fold takes.
            bar.bar_format = _BAR + "<{remaining}]"
    for name in dict.fromkeys(result.estimator for result in results):
        _warn_unseen([each for each in results if each.estimator == name], those_that_know)
    return results


def _warn_unseen(results, those_that_know):
    """Give one warning for all folds of an estimator."""
    unseen = UnseenElements()
    for result in results:
        unseen.add(result.unseen.symbols, result.unseen.consequences)
    warn_unseen_elements(
        dict(sorted(unseen.symbols.items())),
        f"{'; '.join(unseen.consequences)} (estimator {results[0].estimator!r})",
        those_that_know,
    )


def _taken(estimator, method, params):
    """Names of the metadata that a method of an estimator asks for."""
    return set(get_routing_for_object(estimator).consumes(method, params)) if params else set()


def _rows_of(params, estimator, method, rows):
    """Rows of the metadata that a method of an estimator asks for."""
    return {name: _safe_indexing(params[name], rows) for name in _taken(estimator, method, params)}


def _training_data(part, visited):
    """Yield what the pre-trained models in a fitted estimator were trained on."""
    if not isinstance(part, BaseEstimator | Mapping | list | tuple) or id(part) in visited:
        return
    visited.add(id(part))
    if isinstance(part, BaseEstimator):
        data = getattr(part, "training_data_", None)
        if isinstance(data, str):
            yield data
        part = vars(part)
    for inner in part.values() if isinstance(part, Mapping) else part:
        yield from _training_data(inner, visited)


def _raise_with_context(error, context, rows):
    """Raise `error` again with the estimator, the fold and the number of the row in `X`."""
    if isinstance(error, ERRORS_OF_ROWS):
        # Its index counts the rows of one side of the split.
        raise with_row_of_input(error, rows, f"in {context}") from error
    error.add_note(f"This happened in {context}.")
    raise error
