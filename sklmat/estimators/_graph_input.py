"""Crystals to the graphs that a network reads, in `fit` and ever after."""

import numpy as np

from sklmat.batches import pad_neighbors
from sklmat.graphs import CrystalGraphs, StructureToGraph


class GraphReader:
    """Builds graphs as the parameters say, and later as `fit` built them."""

    #: Cutoff (Å) and neighbours of the graphs that are built where nothing else is said.
    _default_cutoff = 8.0
    _default_max_neighbors = 12

    def _fit_graphs(self, X, go_on):
        """Graphs of the training rows, as the parameters or the graphs themselves say."""
        if go_on:
            self._check_graph_settings()
            return self._graphs(X)
        if isinstance(X, CrystalGraphs):
            return X.restrict(self.cutoff, self.max_neighbors)
        return StructureToGraph(
            cutoff=self.cutoff or self._default_cutoff,
            max_neighbors=self.max_neighbors or self._default_max_neighbors,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        ).transform(X)

    def _check_graph_settings(self):
        """Raise where the parameters ask for other graphs than those the network knows."""
        for name in ("cutoff", "max_neighbors"):
            asked, fitted = getattr(self, name), self.graph_settings_[name]
            if asked is not None and asked != fitted:
                raise ValueError(
                    f"going on with a fitted network cannot change its graphs: {name} was {fitted},"
                    f" is {asked}; set warm_start=False, or clone, to start over"
                )

    def _graphs(self, X):
        """Graphs of new rows, as the network reads them."""
        graphs = self._graphs_like_fit(X)
        return pad_neighbors(graphs) if self.padded_ else graphs

    def _graphs_like_fit(self, X):
        """Graphs of new rows, built as those of `fit` were."""
        wanted = self.graph_settings_
        if isinstance(X, CrystalGraphs):
            graphs = X.restrict(self.cutoff, self.max_neighbors)
            different = {k: v for k, v in graphs.settings.items() if v != wanted[k]}
            if different:
                raise ValueError(
                    f"these graphs were built with {different}, those of fit with "
                    f"{ {k: wanted[k] for k in different} }; build them alike"
                )
        elif wanted["neighbors"] is not None:
            raise ValueError(
                f"fitted on graphs made by {wanted['neighbors']}; pass CrystalGraphs made by the "
                "same StructureToGraph instead of structures"
            )
        else:
            graphs = StructureToGraph(**wanted, n_jobs=self.n_jobs).transform(X)
        check_elements(graphs, self.nets_[0].module_.known_elements.cpu().numpy())
        return graphs


def check_elements(graphs, known):
    """Raise at the first crystal with an element that `known`, a mask, does not have."""
    lacking = ~known[graphs.atomic_numbers]
    if lacking.any():
        crystal = int(np.searchsorted(graphs.atom_ptr, np.argmax(lacking), side="right")) - 1
        raise ValueError(
            f"structure {crystal} ({graphs.formula(crystal)}) has an element without a vector in "
            "atom_init; give a table that has it (atom_init='onehot' covers all)"
        )
