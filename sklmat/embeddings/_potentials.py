"""The potentials that a `PotentialFeaturizer` reads: one interface for all of them.

`open_potential` makes a `Potential` for a value of the parameter `model`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib import util
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol
from uuid import uuid4
from weakref import WeakKeyDictionary

import numpy as np

from sklmat.embeddings._potential_output import OUTPUTS, PotentialOutput
from sklmat.structures import CrystalArrays

if TYPE_CHECKING:
    import torch
    from ase import Atoms
    from ase.calculators.calculator import Calculator
    from pymatgen.core import Structure

MPTRJ = (
    "MPtrj: relaxation trajectories of cells of the Materials Project (GGA and GGA+U), as of "
    "September 2022"
)
#: Atomic numbers that no crystal of MPtrj has: Po, At, Rn, Fr, Ra, and those beyond Pu.
NOT_IN_MPTRJ = frozenset([*range(84, 89), *range(95, 119)])

#: What is changed for the whole process while a model is loaded is changed by one thread only.
LOADING = threading.Lock()


class PotentialModel(Protocol):
    """A model of your own for `PotentialFeaturizer`: any function of one structure.

    It is called with a pymatgen ``Structure`` of N atoms, which has no properties besides its
    lattice, species and positions. It returns a dict with one or several of

    - ``"energy"``: energy per atom (eV);
    - ``"moments"``: magnetic moments of the atoms (μB), shape (N,);
    - ``"embedding"``: vectors of the atoms, shape (N, F).
    """

    def __call__(self, structure: Structure, /) -> Mapping[str, Any]:
        """Compute the outputs for one structure.

        Parameters
        ----------
        structure : pymatgen Structure

        Returns
        -------
        dict of str to array-like
        """


class Potential(ABC):
    """A model that computes `PotentialOutput` for crystals.

    Attributes
    ----------
    name : str
        Beginning of the names of the columns.
    identity : str or None
        Text that no other model has, as part of the keys of a cache; None if there is no such text.
    is_named : bool
        Whether `identity` means the same model in other processes and sessions.
    outputs : tuple of str or None
        Outputs that the model has; None if only its results tell.
    training_data : str or None
        What the model was trained on; None if this is not known.
    missing_elements : frozenset of int
        Atomic numbers that the model was not trained on.
    is_batched : bool
        Whether `evaluate` is faster for several crystals than for one at a time.
    batch_atoms : int
        Number of atoms that are evaluated together.
    """

    name: str
    identity: str | None
    is_named: bool = True
    outputs: tuple[str, ...] | None = None
    training_data: str | None = None
    missing_elements: ClassVar[frozenset[int]] = frozenset()
    is_batched: bool = False
    batch_atoms: int = 128

    def load(self) -> None:  # noqa: B027
        """Load the model, if this thread has not done so."""

    @abstractmethod
    def evaluate(self, crystals: list[CrystalArrays]) -> list[PotentialOutput]:
        """Compute the outputs of some crystals."""


class CalculatorPotential(Potential):
    """A calculator of ASE: energies, and moments if it computes them together with energies."""

    def __init__(self, factory: Callable[[], Calculator], name: str) -> None:
        self.factory = factory
        self.name = name
        self.identity, self.is_named = identity_of(factory)
        # One for each thread, since calculators keep the state of their atoms.
        self._calculators: dict[int, Calculator] = {}

    def load(self) -> None:
        """Make the calculator of this thread."""
        thread = threading.get_ident()
        if thread not in self._calculators:
            self._calculators[thread] = self.factory()

    def evaluate(self, crystals: list[CrystalArrays]) -> list[PotentialOutput]:
        """Compute the outputs, one crystal after the other."""
        from ase import Atoms

        calculator = self._calculators[threading.get_ident()]
        found = []
        for crystal in crystals:
            atoms = Atoms(
                crystal.atomic_numbers,
                crystal.positions,
                cell=crystal.lattice,
                pbc=crystal.pbc,
                calculator=calculator,
            )
            found.append(as_output(self.read(atoms), len(atoms)))
        return found

    def read(self, atoms: Atoms) -> dict[str, Any]:
        """Outputs of the calculator for its atoms."""
        result = {"energy": atoms.get_potential_energy() / len(atoms)}
        # They are asked for in this way, since some calculators would calculate again.
        moments = getattr(atoms.calc, "results", {}).get("magmoms")
        if moments is not None:
            result["moments"] = moments
        return result

    def __getstate__(self):
        return {**vars(self), "_calculators": {}}


class SevenNetPotential(CalculatorPotential):
    """SevenNet-0 (11 July 2024), with the weights of its package.

    The vectors of the atoms are those after the last convolution; they do not change when the
    crystal is rotated.
    """

    outputs = ("energy", "embedding")
    training_data = MPTRJ
    missing_elements = NOT_IN_MPTRJ

    def __init__(self, device: str | torch.device) -> None:
        folder = package_folder("sevenn")
        path = folder / "pretrained_potentials/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth"
        if not path.is_file():
            raise ImportError(
                f"the installed package sevenn does not have the file {path}; pass "
                "functools.partial(SevenNetCalculator, path of a checkpoint) as model"
            )
        super().__init__(functools.partial(_sevennet_calculator, path, device), "sevennet")
        self.identity = f"sevennet 0 11Jul2024 {file_digest(path)}"
        self.is_named = True

    def read(self, atoms: Atoms) -> dict[str, Any]:
        """Energy and vectors; the latter are the input of the layer that reads the energy."""
        vectors: list[Any] = []
        layer = atoms.calc.model.get_submodule("reduce_input_to_hidden")
        hook = layer.register_forward_pre_hook(lambda _, inputs: vectors.append(inputs[0]["x"]))
        try:
            energy = super().read(atoms)
        finally:
            hook.remove()
        return {**energy, "embedding": vectors[0].detach().cpu().numpy()}


def _sevennet_calculator(path, device):
    """Make the calculator; do not warn that it could be faster, and leave torch's random state."""
    import torch

    with LOADING, warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "No tensor product accelerator")
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(path, device=device)


class FunctionPotential(Potential):
    """A `PotentialModel`."""

    def __init__(self, model: PotentialModel, name: str) -> None:
        self.model = model
        self.name = name
        self.identity, self.is_named = identity_of(model)

    def evaluate(self, crystals: list[CrystalArrays]) -> list[PotentialOutput]:
        """Compute the outputs, one crystal after the other."""
        return [
            as_output(self.model(crystal.to_structure()), len(crystal.atomic_numbers))
            for crystal in crystals
        ]


def open_potential(model: Any, device: str | torch.device) -> Potential:
    """Return the potential for a value of the parameter `model` of `PotentialFeaturizer`."""
    if model == "chgnet":
        from sklmat.embeddings._chgnet import CHGNetPotential

        return CHGNetPotential(device)
    if model == "sevennet":
        return SevenNetPotential(device)
    kind = CalculatorPotential if _takes_no_arguments(model) else FunctionPotential
    return kind(model, _name_of(model))


def _takes_no_arguments(model):
    """Whether a callable can be called without arguments."""
    try:
        inspect.signature(model).bind()
    except (TypeError, ValueError):
        return False
    return True


def _name_of(model):
    """Name of a function or class that can begin the name of a column."""
    while isinstance(model, functools.partial):
        model = model.func
    name = getattr(model, "__name__", type(model).__name__)
    return name if name.isidentifier() else "model"


#: Texts for functions and classes, which are different from each other within this process.
_TEXTS: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


#: Values whose texts are different if they are.
_EXACT = (str, int, float, Path, NoneType)


def identity_of(model: Any) -> tuple[str | None, bool]:
    """Return a text that no other model has, and whether it holds in other processes.

    Parameters
    ----------
    model : callable
        With an attribute ``cache_key``, this is the text. Otherwise functions and classes have a
        text for this process, also with arguments given by `functools.partial`; other objects,
        which `clone` copies, have none.
    """
    key = getattr(model, "cache_key", None)
    if key is not None:
        # The text of another object may be its place in memory.
        if not isinstance(key, str) or not key:
            raise ValueError(f"cache_key of the model {model!r} must be a text, not {key!r}")
        return f"cache_key {key!r}", True
    if isinstance(model, functools.partial):
        text, _ = identity_of(model.func)
        given = *model.args, *model.keywords.values()
        if text is None or not all(isinstance(value, _EXACT) for value in given):
            return None, False
        return f"{text} {model.args!r} {sorted(model.keywords.items())!r}", False
    if isinstance(model, FunctionType | BuiltinFunctionType | type):
        return _TEXTS.setdefault(model, uuid4().hex), False
    return None, False


def as_output(result: Any, n_atoms: int) -> PotentialOutput:
    """Check what a model returned for a crystal, and convert it to a `PotentialOutput`."""
    if not isinstance(result, Mapping) or not result or not set(result) <= set(OUTPUTS):
        keys = sorted(map(str, result)) if isinstance(result, Mapping) else type(result).__name__
        raise ValueError(
            f"a model returns a dict with one or several of {list(OUTPUTS)} for a structure, "
            f"not {keys}; or, if it can be called without arguments, a calculator of ASE"
        )
    # Copies, since a model may write its next result into the same array.
    arrays: dict[str, Any] = {
        name: np.array(value, dtype=np.float64 if name == "energy" else np.float32)
        for name, value in result.items()
    }
    shapes = {"energy": 0, "moments": 1, "embedding": 2}
    for name, array in arrays.items():
        if array.ndim != shapes[name] or (array.ndim and len(array) != n_atoms):
            expected = {"energy": "one number", "moments": "(N,)", "embedding": "(N, F)"}[name]
            raise ValueError(
                f"the {name} of a model has the shape {array.shape} for {n_atoms} atoms, instead "
                f"of {expected}"
            )
    if "energy" in arrays:
        arrays["energy"] = float(arrays["energy"])
    return PotentialOutput(**arrays)


def package_folder(package: str) -> Path:
    """Folder of a package of the extra ``potentials``, without importing it."""
    found = util.find_spec(package)
    if found is None or found.origin is None:
        raise ImportError(
            f"model={'sevennet' if package == 'sevenn' else package!r} needs the package "
            f'{package}: pip install "sklmat[potentials]"'
        )
    return Path(found.origin).parent


def file_digest(path: Path) -> str:
    """Hash of the content of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
