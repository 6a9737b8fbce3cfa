"""`StructureToGraph`, the transformer that turns structures into crystal graphs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import HasMethods, StrOptions

from sklmat.argument_checks import checked_arguments
from sklmat.files import expand_path
from sklmat.graphs._build_graphs import build_graphs, describe_strategy, stream_graphs
from sklmat.graphs._cache import GraphCache, open_cache
from sklmat.graphs._crystal_graphs import CrystalGraphs
from sklmat.graphs._graph_files import GraphsWriter
from sklmat.parallel import N_JOBS
from sklmat.parameter_constraints import Interval
from sklmat.reference_links import ReferenceLink

if TYPE_CHECKING:
    from pymatgen.analysis.local_env import NearNeighbors

    from sklmat.typing import PathLike, Structures

#: The number of neighbours grows with the third power of the cutoff (Å).
_LARGEST_CUTOFF = 100


class StructureToGraph(ReferenceLink, TransformerMixin, BaseEstimator):
    """Transformer from crystal structures to crystal graphs: atoms joined to their neighbours.

    Parameters
    ----------
    cutoff : float, default=8.0
        Largest distance of a neighbour (Å), included; periodic images are neighbours too. From 0.5
        to 100 Å, which is more than 100,000 atoms of most crystals.
    max_neighbors : int or None, default=12
        Number of nearest neighbours that are kept for each atom, as in [1]_. ``None`` keeps all
        within the cutoff, which makes the graph symmetric.
    ties : {"complete", "truncate"}, default="complete"
        What to do if the last neighbour belongs to a shell of equal distances. "complete" keeps
        the whole shell, so that the graph does not depend on the order of the atoms (ideal bcc: 14
        neighbours). "truncate" keeps exactly `max_neighbors`, as the original code of CGCNN does.
    tie_tolerance : float, default=1e-3
        Largest difference (Å) between distances of one shell.
    symmetrize : bool, default=False
        Add the reverse of each edge if it is missing: atom j can be among the 12 nearest neighbours
        of atom i while i is not among those of j.
    neighbors : pymatgen NearNeighbors or None, default=None
        A strategy such as ``CrystalNN()`` or ``VoronoiNN()`` that chooses the bonded neighbours;
        those beyond `cutoff` or `max_neighbors` are removed. Much slower than the default.
    cache : None, int, path or GraphCache, default=None
        Cache of built graphs. An int is the number of crystals that are kept in memory for this
        transformer and its clones; the least recently used are removed first. A path is a folder
        that processes and sessions can share. A `GraphCache` has a limit in bytes, in memory or in
        a folder. The key is the content of a crystal and the settings above, so clones, folds and
        candidates of a grid search use the same cached graphs. Files are read again only if they
        were changed.
    n_jobs : int, default=None
        Number of joblib processes; ``joblib.parallel_config(backend=...)`` selects the backend. The
        graphs of fewer than 50,000 atoms are built by one process, as to start others takes longer.
    verbose : bool, default=False
        Show a progress bar.

    See Also
    --------
    CrystalGraphs : The container that `transform` returns.

    Notes
    -----
    The transformer is stateless: `fit` only checks the parameters. The compiled neighbour search of
    pymatgen is run at a radius estimated from the density, which is increased until every atom has
    its neighbours; this is faster than a search at the full cutoff.

    References
    ----------
    .. [1] T. Xie, J. C. Grossman, Phys. Rev. Lett. 120, 145301 (2018),
       :doi:`10.1103/PhysRevLett.120.145301`

    Examples
    --------
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import StructureToGraph
    >>> nacl = Structure.from_spacegroup(
    ...     "Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ... )
    >>> graphs = StructureToGraph(cutoff=3.0).fit_transform([nacl])
    >>> graphs.neighbor_counts.tolist()
    [6, 6, 6, 6, 6, 6, 6, 6]
    >>> round(float(graphs.edge_distance[0]), 2)
    2.82
    """

    _parameter_constraints = {
        "cutoff": [Interval(Real, 0.5, _LARGEST_CUTOFF, closed="right")],
        "max_neighbors": [None, Interval(Integral, 1, None, closed="left")],
        "ties": [StrOptions({"complete", "truncate"})],
        "tie_tolerance": [Interval(Real, 0, None, closed="left")],
        "symmetrize": ["boolean"],
        "neighbors": [None, HasMethods(["get_all_nn_info"])],
        "cache": [None, Interval(Integral, 1, None, closed="left"), str, os.PathLike, GraphCache],
        "n_jobs": N_JOBS,
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        cutoff: float = 8.0,
        max_neighbors: int | None = 12,
        ties: Literal["complete", "truncate"] = "complete",
        tie_tolerance: float = 1e-3,
        symmetrize: bool = False,
        neighbors: NearNeighbors | None = None,
        cache: int | PathLike | GraphCache | None = None,
        n_jobs: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.cutoff = cutoff
        self.max_neighbors = max_neighbors
        self.ties = ties
        self.tie_tolerance = tie_tolerance
        self.symmetrize = symmetrize
        self.neighbors = neighbors
        self.cache = cache
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Structures | CrystalGraphs, y: object = None) -> Self:
        """Check the parameters; the transformer is stateless.

        Parameters
        ----------
        X : sequence of structures, or CrystalGraphs
            Ignored.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted estimator.
        """
        self._validate_params()
        return self

    def transform(self, X: Structures | CrystalGraphs) -> CrystalGraphs:
        """Build the graphs.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            See `check_structures`. If `X` is a CrystalGraphs, the result has those of its edges
            that are within `cutoff` and `max_neighbors`.

        Returns
        -------
        CrystalGraphs
            The graphs of the crystals, in their order.

        Raises
        ------
        InvalidStructureError
            When a crystal is invalid; the error names the first one.
        ValueError
            When `X` is a CrystalGraphs that was built with a smaller `cutoff` or `max_neighbors`,
            or with other `ties`, `tie_tolerance`, `symmetrize` or `neighbors`.
        """
        self._validate_params()
        if isinstance(X, CrystalGraphs):
            return self._restricted(X)
        return build_graphs(X, **self._build_params())

    @checked_arguments()
    def to_file(
        self, X: Structures | Iterator[Any] | CrystalGraphs, path: PathLike
    ) -> CrystalGraphs:
        """Build the graphs and write them to a file, with few of them in memory at a time.

        The file is the same as that of ``transform(X).save(path)``. It gets its name when it is
        complete: an error or an interruption leaves no file, or the one that was there before. To
        continue an interrupted run without building all graphs again, set `cache` to a folder.

        Parameters
        ----------
        X : sequence of structures, iterator over structures, or CrystalGraphs
            As in `transform`. An iterator, or a sequence of file names, is read in blocks of about
            200,000 atoms, so that the crystals need not be in memory either.
        path : str or path-like
            File to write. While it is written, the disk also holds its arrays in a hidden folder
            beside it.

        Returns
        -------
        CrystalGraphs
            The file, mapped into memory, as ``CrystalGraphs.load(path, mmap=True)`` gives it.

        Raises
        ------
        InvalidStructureError
            When a crystal is invalid; the error names the first one.
        ValueError
            As in `transform`.

        Examples
        --------
        >>> import tempfile
        >>> from pymatgen.core import Lattice, Structure
        >>> from sklmat import StructureToGraph
        >>> crystals = (Structure(Lattice.cubic(a), ["Po"], [[0, 0, 0]]) for a in (3.3, 3.4))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     StructureToGraph(cutoff=4.0).to_file(crystals, f"{folder}/po.safetensors")
        CrystalGraphs(2 crystals, 2 atoms, 12 edges, cutoff=4.0 Å, max_neighbors=12)
        """
        self._validate_params()
        if isinstance(X, CrystalGraphs):
            self._restricted(X).save(path)
        else:
            with GraphsWriter(expand_path(path)) as writer:
                for part in stream_graphs(X, **self._build_params()):
                    writer.append(part)
        return CrystalGraphs.load(path, mmap=True)

    def _restricted(self, graphs):
        """Restrict given graphs to the parameters; raise if they were built with other ones."""
        graphs = graphs.restrict(self.cutoff, self.max_neighbors)
        wanted = {name: getattr(self, name) for name in ("ties", "tie_tolerance", "symmetrize")}
        wanted |= {
            "max_neighbors": self.max_neighbors,
            "neighbors": describe_strategy(self.neighbors),
        }
        different = {
            name: getattr(graphs, name)
            for name, value in wanted.items()
            if getattr(graphs, name) != value
        }
        if different:
            raise ValueError(
                f"these graphs were built with {different}, and this StructureToGraph asks for "
                f"{ {name: wanted[name] for name in different} }; build them again from the "
                "structures, or leave this step out"
            )
        return graphs

    def _build_params(self):
        """Parameters of `build_graphs`: those of this transformer, with the opened cache."""
        opened = open_cache(self.cache, getattr(self, "_opened_cache", None))
        if opened is not self.cache:
            self._opened_cache = opened
        return {**self.get_params(deep=False), "cache": opened}

    def __sklearn_clone__(self):
        clone = super().__sklearn_clone__()
        # A clone has the same cache, also if this transformer has not used it yet: a search makes
        # clones of a transformer that is never run itself.
        if isinstance(self.cache, Integral | str | os.PathLike):
            clone._opened_cache = self._build_params()["cache"]
        return clone

    def set_output(self, *, transform: str | None = None) -> Self:
        """Do nothing: the output is always a `CrystalGraphs`.

        The method exists so that ``set_output`` of a pipeline can set its other steps.

        Parameters
        ----------
        transform : str, default=None
            Not used.

        Returns
        -------
        self
            The transformer itself.
        """
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags
