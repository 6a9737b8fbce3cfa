"""Data sets: generated offline, or downloaded once and checked."""

from sklmat.lazy_imports import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "_alloys": ["make_alloys"],
        "_cgcnn_sample": [
            "fetch_cgcnn_atom_init",
            "fetch_cgcnn_checkpoint",
            "fetch_cgcnn_sample",
        ],
        "_download": ["get_data_home"],
        "_halide_perovskites": ["fetch_halide_perovskites"],
        "_hea": ["fetch_hea"],
        "_label_checks": [
            "check_compositions",
            "check_energies",
            "check_magnetizations",
            "check_moments",
            "check_volumes",
        ],
        "_mixed_halides": ["make_mixed_halide_perovskites"],
        "_mixed_halides_xtb": ["load_mixed_halide_perovskites"],
    },
)
