from sklmat.datasets._fetch_cgcnn import (
    fetch_cgcnn_atom_init,
    fetch_cgcnn_checkpoint,
    fetch_cgcnn_sample,
)
from sklmat.datasets._fetch_halide_perovskites import fetch_halide_perovskites
from sklmat.datasets._fetch_hea import fetch_hea
from sklmat.datasets._fetch_matbench import fetch_matbench
from sklmat.datasets._label_checks import (
    check_compositions,
    check_energies,
    check_magnetizations,
    check_moments,
    check_volumes,
)
from sklmat.datasets._load_mixed_halides import load_mixed_halide_perovskites
from sklmat.datasets._make_alloys import make_alloys
from sklmat.datasets._make_mixed_halides import make_mixed_halide_perovskites
from sklmat.datasets._make_prototypes import make_prototypes
from sklmat.downloads import get_data_home

__all__ = [
    "check_compositions",
    "check_energies",
    "check_magnetizations",
    "check_moments",
    "check_volumes",
    "fetch_cgcnn_atom_init",
    "fetch_cgcnn_checkpoint",
    "fetch_cgcnn_sample",
    "fetch_halide_perovskites",
    "fetch_hea",
    "fetch_matbench",
    "get_data_home",
    "load_mixed_halide_perovskites",
    "make_alloys",
    "make_mixed_halide_perovskites",
    "make_prototypes",
]
