"""`QualityReport`: how well generated rows agree with real ones."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import wasserstein_distance
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

#: Fewer rows than this cannot be split into folds for the classifier.
_MIN_ROWS = 10


@dataclass(eq=False)
class QualityReport:
    """Comparison of real rows with rows generated for the codes of these rows.

    Parameters
    ----------
    column_distances : dict of str to float
        Wasserstein distance between real and generated values of each feature, in units of its
        standard deviation over the training rows that have this feature: 0 means identical, 0.1 a
        good agreement. A feature that belongs to an element is left out if no row contains this
        element.
    correlation_difference : float
        Mean absolute difference between the real and generated correlations of pairs of features.
    neighbor_distance_ratio : float
        Median distance of a generated row to the nearest training row, divided by the median
        distance of a training row to the nearest other one. A value far below one means that the
        generated rows are copies.
    classifier_auc : float
        Area under the ROC curve, on held-out rows, of trees that classify rows as real or
        generated: 0.5 is chance, 1 is perfect separation. NaN with fewer than ten rows.
    code_recovery : float
        R² of predicted against true codes of generated rows. Trees, which were trained on the real
        training rows, predict the continuous code columns from the features. Mean over the columns
        that vary; NaN if there is none.
    real, generated : DataFrame of shape (n, n_features)
        The features that were compared, minus their mean over the training rows and divided by
        their standard deviation over these rows. The columns of an element are NaN in rows without
        this element.
    """

    column_distances: dict
    correlation_difference: float
    neighbor_distance_ratio: float
    classifier_auc: float
    code_recovery: float
    real: pd.DataFrame = field(repr=False)
    generated: pd.DataFrame = field(repr=False)

    def __str__(self):
        worst = max(self.column_distances, key=self.column_distances.get)
        mean = np.mean(list(self.column_distances.values()))
        return "\n".join(
            [
                f"distance of columns        {mean:.2f} sd (mean); "
                f"{self.column_distances[worst]:.2f} sd ({worst})",
                f"difference of correlations {self.correlation_difference:.2f}",
                f"nearest training row       {self.neighbor_distance_ratio:.2f} of the usual one",
                f"AUC of real or generated   {self.classifier_auc:.2f}",
                f"R² of the recovered code   {self.code_recovery:.2f}",
            ]
        )


def quality_report(real, generated, training, codec, names):
    """Compare generated rows with real rows of the same codes.

    Parameters
    ----------
    real, generated : ndarray of shape (n, F)
        Generated rows have the codes of the real ones, row by row.
    training : ndarray of shape (n_training, F)
        Training rows of the generator.
    codec : TableCodec
    names : list of str
        Names of all columns.

    Returns
    -------
    QualityReport
    """
    encoded = [codec.encode_features(rows) for rows in (real, generated, training)]
    features, present = [names[k] for k in codec.features], codec.present(real)
    compared = [
        pd.DataFrame(np.where(present, rows, np.nan), columns=features) for rows in encoded[:2]
    ]
    return QualityReport(
        column_distances=_column_distances(*encoded[:2], present, features),
        correlation_difference=_correlation_difference(*encoded[:2]),
        neighbor_distance_ratio=_neighbor_ratio(*encoded[1:]),
        classifier_auc=_classifier_auc(*encoded[:2]),
        code_recovery=code_recovery(training, generated, codec),
        real=compared[0],
        generated=compared[1],
    )


def code_recovery(training, generated, codec):
    """R² of the codes of generated rows, predicted by trees trained on features of real rows."""
    # R² is not defined for a code that does not vary.
    varies = [np.ptp(rows[:, codec.continuous], axis=0) > 0 for rows in (training, generated)]
    continuous = codec.continuous[varies[0] & varies[1]]
    if not len(continuous):
        return float("nan")
    trees = ExtraTreesRegressor(200, random_state=0)
    trees.fit(codec.encode_features(training), training[:, continuous])
    predicted = trees.predict(codec.encode_features(generated))
    return float(r2_score(generated[:, continuous], predicted.reshape(len(generated), -1)))


def _column_distances(real, generated, present, names):
    distances = {}
    for column, name in enumerate(names):
        rows = present[:, column]
        if rows.any():
            distance = wasserstein_distance(real[rows, column], generated[rows, column])
            distances[name] = float(distance)
    return distances


def _correlation_difference(real, generated):
    varies = (real.std(axis=0) > 0) & (generated.std(axis=0) > 0)
    if varies.sum() < 2:
        return 0.0
    correlations = [np.corrcoef(rows[:, varies], rowvar=False) for rows in (real, generated)]
    pairs = np.triu_indices(varies.sum(), 1)
    return float(np.abs(correlations[0] - correlations[1])[pairs].mean())


def _neighbor_ratio(generated, training):
    search = NearestNeighbors(n_neighbors=2).fit(training)
    # The nearest neighbour of a training row is the row itself.
    between_training_rows = np.median(search.kneighbors(training)[0][:, 1])
    if not between_training_rows:
        return float("nan")
    return float(np.median(search.kneighbors(generated, 1)[0]) / between_training_rows)


def _classifier_auc(real, generated):
    if len(real) < _MIN_ROWS:
        return float("nan")
    X = np.vstack([real, generated])
    label = np.repeat([0, 1], [len(real), len(generated)])
    # A real row and the one generated for its code are in one fold: otherwise the label of one
    # could be inferred from the other in the training folds.
    code = np.tile(np.arange(len(real)), 2)
    # `cross_val_predict` takes no groups if the user has enabled metadata routing.
    folds = list(GroupKFold(5).split(X, label, code))
    trees = ExtraTreesClassifier(200, min_samples_leaf=2, random_state=0)
    probability = cross_val_predict(trees, X, label, cv=folds, method="predict_proba")
    return float(roc_auc_score(label, probability[:, 1]))
