"""`Attacked`: crystals that an estimator has read, attacked a few at a time."""

import numpy as np
from sklearn.base import is_classifier

from sklmat.adversarial._attacked_network import fitted_model
from sklmat.adversarial._methods import Moves, Search
from sklmat.adversarial._perturb_structures import perturbed, to_structures
from sklmat.adversarial._perturbation import Room
from sklmat.adversarial._prediction_error import Reference
from sklmat.graphs import CrystalGraphs
from sklmat.structures import check_structures

#: Crystals attacked at a time: enough to fill batches, few enough to bound memory.
CHUNK = 512


class Attacked:
    """Crystals before an estimator: read once, attacked as often as wanted.

    Parameters
    ----------
    estimator : fitted graph estimator, or FrozenEstimator of one
    X : sequence of C structures, or CrystalGraphs
    attack : StructureAttack
        Its budgets are the largest that will be used.
    """

    def __init__(self, estimator, X, attack):
        self.model, self.estimator = fitted_model(estimator)
        self.structures = None if isinstance(X, CrystalGraphs) else check_structures(X)
        self.graphs = self.estimator._graphs_like_fit(
            X if self.structures is None else self.structures
        )
        if len(self.graphs) == 0:
            raise ValueError("X is empty (0 structures); there is nothing to attack")
        self.estimator._check_new(self.graphs)
        self.attack = attack

    def __len__(self):
        return len(self.graphs)

    def reference(self, y=None, threshold=None):
        """What is right, for the estimator's outputs: `y`, or what it predicts itself.

        Raises
        ------
        ValueError
            When `y` has another length than X, classes that the estimator does not know, or values
            missing.
        """
        if y is not None:
            y = self.estimator._check_targets(y)
            if len(y) != len(self):
                raise ValueError(f"X has {len(self)} structures and y has {len(y)} rows")
        if is_classifier(self.estimator):
            return Reference(self._codes(y))
        if y is None:
            values = self.model.outputs(self.graphs)
        else:
            values = y.reshape(len(y), -1)
            missing = np.flatnonzero(np.isnan(values).any(axis=1))
            if len(missing):
                raise ValueError(f"y has missing targets in rows {missing[:10].tolist()}; give all")
            if values.shape[1] != self.estimator.n_outputs_:
                raise ValueError(
                    f"y has {values.shape[1]} targets, the estimator {self.estimator.n_outputs_}"
                )
        if threshold is None:
            threshold = self.estimator.y_scale_
        return Reference(values, np.broadcast_to(threshold, values.shape[1]).astype(float))

    def _codes(self, y):
        if y is None:
            return self.model.outputs(self.graphs).argmax(axis=1)
        classes = self.estimator.classes_
        codes = np.searchsorted(classes, y).clip(max=len(classes) - 1)
        unknown = np.flatnonzero(classes[codes] != y)
        if len(unknown):
            row, known = unknown[0], classes.tolist()
            raise ValueError(f"row {row} has the class {y.tolist()[row]!r}, not one of {known}")
        return codes

    def chunks(self, rows):
        """Rows of a few crystals at a time, under a progress bar."""
        from tqdm import tqdm

        with tqdm(
            total=len(rows), unit="crystal", desc="attack", disable=not self.attack.verbose
        ) as bar:
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                yield part
                bar.update(len(part))

    def search_in(self, rows, reference, noise, until_wrong=False):
        """A `Search` among some rows."""
        attack = self.attack
        room = Room(
            self.graphs[rows], attack.budget, attack.strain, attack.min_distance, attack.neighbors
        )
        return Search(self.model, room, reference[rows], noise, until_wrong)

    def search(self, attack, reference, until_wrong=False):
        """Moves of all crystals."""
        noise = attack._noise()
        found = []
        for rows in self.chunks(np.arange(len(self))):
            found.append(attack._search(self.search_in(rows, reference, noise, until_wrong)))
        return Moves.concatenate(found)

    def decode(self, outputs):
        """Predictions as the estimator gives them."""
        if is_classifier(self.estimator):
            return self.estimator.classes_[outputs.argmax(axis=1)]
        return outputs[:, 0] if self.estimator.target_ndim_ == 1 else outputs

    def originals(self, rows):
        """Some of the crystals as pymatgen structures."""
        if self.structures is not None:
            return self.structures[rows]
        return to_structures(self.graphs[rows])

    def perturbed(self, moves):
        """Moved crystals in the form that X had."""
        return perturbed(self.structures, self.graphs, moves.displacement, moves.strain)
