"""`report`: the data, the validation, the largest errors and the explanation of an estimator."""

from __future__ import annotations

import datetime
import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier, is_regressor
from sklearn.model_selection import KFold, StratifiedKFold

from sklmat.argument_checks import POSITIVE_INT, checked_arguments
from sklmat.cross_validation import list_folds
from sklmat.exceptions import ExtrapolationWarning
from sklmat.files import expand_path, replace_file
from sklmat.model_files import saved_summary
from sklmat.model_selection import CompositionGroupKFold, baselines, compare_estimators
from sklmat.parallel import check_n_jobs
from sklmat.recorded_warnings import ignore_warnings
from sklmat.reports._attribution_section import attribution_section
from sklmat.reports._calibration_section import calibration_section
from sklmat.reports._data_section import data_section
from sklmat.reports._environment_section import citation_section, environment_section
from sklmat.reports._errors_section import errors_section
from sklmat.reports._page import Section, page, shown
from sklmat.reports._rows import Rows
from sklmat.reports._study import Study
from sklmat.reports._validation_section import validation_section
from sklmat.targets import label_column, number_array

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from sklmat.model_selection import Comparison
    from sklmat.typing import ArrayLike, PathLike, Structures, Table

#: What is shown while a section is made -> its function.
_SECTIONS = {
    "data": data_section,
    "scores": validation_section,
    "calibration": calibration_section,
    "largest errors": errors_section,
    "attribution": attribution_section,
    "environment": environment_section,
    "citation": citation_section,
}
#: Folds without `cv`.
_N_FOLDS = 5


@dataclass
class Report:
    """Result of `report`: one page in HTML, and the same facts as a dictionary.

    In a notebook, the page is shown in the output of the cell. ``print`` shows the main facts.

    Parameters
    ----------
    title : str
        Title of the page.
    facts : dict
        What the page says, by section: ``summary``, ``data``, ``validation``, ``calibration``,
        ``errors``, ``attribution``, ``environment`` and ``citation``. It can be written as JSON.
    html : str
        The page.
    comparison : Comparison
        Scores and out-of-fold predictions of the estimator and of the models it is compared with,
        as `compare_estimators` gives them.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> from sklmat import report
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(20)
    >>> made = report(DummyRegressor(), alloys.data, alloys.target, compare_with={}, n_largest=1)
    >>> print(made)  # doctest: +ELLIPSIS
    DummyRegressor: report
    20 rows. The target is between ...
    >>> list(made.summary())
    ['title', 'date', 'versions', 'data', 'validation']
    """

    title: str
    facts: dict[str, Any]
    html: str
    comparison: Comparison

    @checked_arguments()
    def save(self, path: PathLike) -> None:
        """Write the page to one file, which needs no other file and no network.

        Parameters
        ----------
        path : str or path-like
            A file that ends in ``.html``; or in ``.json``, for the dictionary.
        """
        path = expand_path(path)
        if path.suffix not in (".html", ".json"):
            raise ValueError(f"a report is written to a file *.html or *.json, not to {path}")
        text = self.html if path.suffix == ".html" else json.dumps(self.to_dict(), indent=1)
        with replace_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """The facts with the title, as plain data that JSON can hold.

        Returns
        -------
        dict
            ``title``, and the sections.
        """
        return {"title": self.title, **self.facts}

    def summary(self) -> dict[str, Any]:
        """The short form, which `save` of an estimator writes into the file of the model.

        Returns
        -------
        dict
            Title, date and versions; the number of rows, the elements and the range of the target;
            how the rows were split, and the scores of all models, with intervals of the
            differences.
        """
        facts = self.facts
        return {
            "title": self.title,
            "date": facts["environment"]["date"],
            "versions": facts["environment"]["versions"],
            "data": {k: facts["data"].get(k) for k in ("n_rows", "elements", "target")},
            "validation": {k: facts["validation"][k] for k in ("split", "n_folds", "scores")},
        }

    def __str__(self) -> str:
        facts = self.facts
        lines = [self.title, *facts["data"]["sentences"], *facts["validation"]["sentences"]]
        worst = facts["errors"]["largest"][:1]
        lines += [f"{each['name']}: {' '.join(each['sentences'])}" for each in worst]
        return "\n".join(textwrap.fill(line, 80) for line in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import html

        return (
            f'<iframe srcdoc="{html.escape(self.html)}" title="{html.escape(self.title)}" '
            'style="width: 100%; height: 40rem; border: 1px solid #d0d0d0"></iframe>'
        )


@checked_arguments(n_largest=POSITIVE_INT)
def report(
    estimator: BaseEstimator,
    X: Structures | Table,
    y: ArrayLike,
    *,
    cv: int | BaseCrossValidator | Iterable | None = None,
    groups: ArrayLike | None = None,
    compare_with: Mapping[str, BaseEstimator] | None = None,
    quantity: str | None = None,
    unit: str | None = None,
    true_name: str = "true",
    title: str | None = None,
    n_largest: int = 6,
    random_state: int = 0,
    n_jobs: int | None = None,
    verbose: bool = False,
) -> Report:
    """Validate an estimator on your data, explain its largest errors, and write a page about it.

    The page says what a reader or referee needs in order to trust a model: the data and what is
    doubtful in them, the error on rows that were not used for training compared with simple models
    on the same folds, whether the error bars hold, the largest errors with possible causes, what
    the predictions consist of, and the versions and papers to cite.

    Parameters
    ----------
    estimator : regressor or classifier
        It is cloned and fitted for each fold; it needs not be fitted, and is not changed.
    X : sequence of C structures, DataFrame with a column of structures, compositions or table
        Input of the estimator. The index of a Series or DataFrame names the rows.
    y : array-like of shape (C,)
        The target.
    cv : int, splitter or iterable of (train, test), default=None
        As in `compare_estimators`. None means five folds in which no composition is on both sides
        (`CompositionGroupKFold`), so that the errors are those for new compositions. If there are
        fewer than five compositions, or `X` is a table, the folds are drawn at random.
    groups : array-like of shape (C,), default=None
        Groups of the rows, for splitters that use them.
    compare_with : dict of str to estimator, default=None
        Models that are validated on the same folds. None means those of `baselines`, without the
        one that needs a pre-trained network; for a table, the mean or the most frequent class,
        and a random forest.
    quantity, unit : str or None, default=None
        Name and unit of the target, such as "formation energy" and "eV/atom".
    true_name : str, default="true"
        Word before the quantity where it is not predicted: "computed", "DFT" or "measured".
    title : str or None, default=None
        Title of the page; None means the name of the estimator and the quantity.
    n_largest : int, default=6
        Number of largest errors that are shown one by one.
    random_state : int, default=0
        Seed of the folds and of the models in `compare_with` by default. The estimator keeps its
        own seeds.
    n_jobs : int or None, default=None
        Number of fits that joblib runs in parallel.
    verbose : bool, default=False
        Show progress bars: of the sections, and of the fits.

    Returns
    -------
    report : Report
        ``report.save("report.html")`` writes the page, ``report.to_dict()`` gives the facts.

    Raises
    ------
    TypeError
        When `X` is a `CrystalGraphs`, or `estimator` neither classifies nor predicts numbers.
    ValueError
        When `y` has several columns, lengths differ, or `compare_with` has the estimator's name.

    See Also
    --------
    compare_estimators : The scores alone.
    check_dataset : The checks of the data alone.
    pair_attribution : Contributions of pairs of elements at a distance.

    Notes
    -----
    All predictions on the page are of rows that the model had not seen: error bars, largest errors,
    attributions and distances to the training rows are those of the models of the folds.

    A cause is named for a large error only if it can be checked: the label differs from that of the
    same crystal in another row, or is as predicted if it is divided by the number of atoms; an
    element, a size or a label that hardly any other row has; a crystal far from the training rows;
    the best of the other models errs alike, which points to the label or to what no model is told.
    Several may hold, and none may be the cause.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklmat import CompositionFeaturizer, report
    >>> from sklmat.datasets import make_alloys
    >>> alloys = make_alloys(40)
    >>> forest = make_pipeline(CompositionFeaturizer(), RandomForestRegressor(20, random_state=0))
    >>> made = report(forest, alloys.data, alloys.target, compare_with={}, unit="eV/atom")
    >>> made.facts["data"]["n_rows"], made.facts["validation"]["n_folds"]
    (40, 5)
    >>> made.save("report.html")  # doctest: +SKIP
    """
    from tqdm.auto import tqdm

    check_n_jobs(n_jobs, "report")
    if isinstance(estimator, type):
        raise TypeError(f"estimator is a class; pass an instance, {estimator.__name__}(...)")
    if not (hasattr(estimator, "fit") and hasattr(estimator, "predict")):
        raise TypeError(
            f"estimator must be a regressor or classifier with fit and predict, got {estimator!r}"
        )
    if not (is_classifier(estimator) or is_regressor(estimator)):
        raise TypeError(f"{type(estimator).__name__} is neither a classifier nor a regressor")
    rows = Rows(X)
    y = label_column(y) if is_classifier(estimator) else number_array(y, "y")
    if y.ndim != 1:
        raise ValueError(f"y has shape {y.shape}; report explains one target at a time")
    if len(y) != len(rows):
        raise ValueError(f"X has {len(rows)} rows and y has {len(y)}")
    name = _name_of(estimator)
    others = _others(estimator, rows, random_state) if compare_with is None else compare_with
    if name in others:
        raise ValueError(f"compare_with has the name {name!r} of the estimator; rename the entry")
    split, how = _folds(cv, rows, y, is_classifier(estimator), random_state)
    splits = list_folds(split, X, y, groups, is_classifier=is_classifier(estimator))
    with tqdm(total=1 + len(_SECTIONS), desc="report", disable=not verbose) as bar:
        comparison = compare_estimators(
            {name: estimator, **others},
            X,
            y,
            cv=splits,
            reference=name if others else None,
            return_estimator=True,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        study = Study(
            estimator, rows, y, name, splits, how, quantity, unit, true_name, n_largest, comparison
        )
        sections = []
        for section, make in _SECTIONS.items():
            bar.update()
            bar.set_description(f"report, {section}")
            # The comparison has already warned, with the rows of X.
            with ignore_warnings(ExtrapolationWarning):
                sections.append(make(study))
        bar.update()
    sections.insert(0, _in_short(sections))
    title = title or f"{name}: {quantity or 'report'}"
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = {section.name: section.facts for section in sections}
    facts["environment"]["date"] = date
    subtitle = f"{date}, {len(rows)} rows, sklmat {facts['environment']['versions']['sklmat']}"
    html = page(title, subtitle, [section for section in sections if section.parts])
    return Report(title, _as_json(facts), html, comparison)


@checked_arguments()
def saved_report(path: PathLike) -> dict[str, Any] | None:
    """Read the short form of a report from the file of a saved estimator.

    Parameters
    ----------
    path : str or path-like
        A file that ``save(path, report=...)`` of an estimator has written.

    Returns
    -------
    summary : dict or None
        See `Report.summary`; None if the estimator was saved without a report.

    Examples
    --------
    >>> from sklmat.reports import saved_report
    >>> saved_report("model.safetensors")["validation"]["scores"]  # doctest: +SKIP
    """
    return saved_summary(path)


def _name_of(estimator):
    """Name of an estimator: of a Pipeline that of its last step."""
    last = getattr(estimator, "steps", [(None, estimator)])[-1][1]
    return type(last).__name__


def _others(estimator, rows, random_state):
    """The models with which the estimator is compared by default."""
    task = "classification" if is_classifier(estimator) else "regression"
    if rows.structures is not None or rows.are_compositions:
        models = baselines(task, rows.for_baselines, random_state=random_state)
        models.pop("Gaussian process, CHGNet", None)
        return {name: rows.reading(model) for name, model in models.items()}
    return rows.table_models(task, random_state)


def _folds(cv, rows, y, are_classes, random_state):
    """The splitter, and a sentence that says how rows are split."""
    if cv is not None:
        n_folds = f"{cv} folds in the order of the rows" if isinstance(cv, int) else f"{cv}"
        return cv, f"Folds: {n_folds}."
    if rows.n_compositions >= _N_FOLDS:
        splitter = CompositionGroupKFold(_N_FOLDS, random_state=random_state)
        return splitter, (
            f"{_N_FOLDS} folds (random_state={random_state}); all rows of one composition are in "
            "the same fold, so the errors are those for new compositions."
        )
    kind = StratifiedKFold if are_classes else KFold
    n_folds = min(_N_FOLDS, len(y))
    return kind(n_folds, shuffle=True, random_state=random_state), (
        f"{n_folds} folds, drawn at random (random_state={random_state})."
    )


def _in_short(sections):
    """The section that says the most important things first."""
    section = Section("In short", "summary")
    facts = {each.name: each.facts for each in sections}
    sentences = facts["validation"]["sentences"][1:]
    if facts["calibration"].get("verdict"):
        sentences.append(facts["calibration"]["verdict"])
    suspects = facts["errors"]["suspects"]
    if suspects:
        sentences.append(
            f"{', '.join(suspects)}: the label is probably wrong, see the largest errors. One "
            "wrong label changes all scores: correct it or leave the row out, and report again."
        )
    section.facts["sentences"] = sentences
    section.bullets(sentences)
    return section


def _as_json(facts):
    """The facts as JSON holds them; numbers that are not finite become None."""
    return json.loads(json.dumps(facts, default=_plain), parse_constant=lambda _: None)


def _plain(value):
    """A value of NumPy or pandas as JSON takes it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | pd.Series):
        return value.tolist()
    return shown(value)
