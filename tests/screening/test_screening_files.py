"""Files of a screening: stopped, killed and resumed runs, processes and memory."""

import contextlib
import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pandas as pd
import pytest
from phase_model import PhaseModel, linear_model

from sklmat.screening import _screen as screening
from sklmat.screening import composition_grid, screen


@pytest.fixture
def grid():
    return composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)


def test_parquet_holds_the_same_table(grid, tmp_path):
    path = screen(PhaseModel(), grid, out=tmp_path / "all.parquet")
    assert path == tmp_path / "all.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), screen(PhaseModel(), grid))
    assert [p.name for p in tmp_path.iterdir()] == ["all.parquet"]
    best = screen(PhaseModel(), grid, out=str(tmp_path / "best.parquet"), keep=5)
    pd.testing.assert_frame_equal(pd.read_parquet(best), screen(PhaseModel(), grid, keep=5))


def test_the_file_says_how_it_was_made(grid, tmp_path):
    from pyarrow import parquet

    path = screen(PhaseModel(), grid, out=tmp_path / "all.parquet")
    note = json.loads(parquet.read_schema(path).metadata[b"sklmat.screen"])
    assert note["settings"]["grid"]["elements"] == ["Fe", "Ni", "Cr"]
    assert note["settings"]["grid"]["divisions"] == 10
    assert note["settings"]["phases"] == ["bcc", "fcc"]


@pytest.mark.parametrize("module", ["sklmat.files", "sklmat.screening._resumable_parquet"])
def test_a_run_that_ends_while_files_are_removed(grid, tmp_path, monkeypatch, module):
    """What is left of them must not be in the way of the next run."""

    def remove_half(path):
        (path / "_screen.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{module}.shutil.rmtree", remove_half)
    with contextlib.suppress(KeyboardInterrupt):
        screen(PhaseModel(), grid, out=tmp_path / "all.parquet")
    monkeypatch.undo()
    path = screen(PhaseModel(), grid, out=tmp_path / "all.parquet", overwrite=True)
    pd.testing.assert_frame_equal(pd.read_parquet(path), screen(PhaseModel(), grid))


def test_a_run_that_ends_while_it_replaces_another_one(grid, tmp_path, monkeypatch):
    model = PhaseModel()
    model.fail_at = 2 + 2 + 2 * 3 + 1
    with pytest.raises(KeyboardInterrupt):
        screen(model, grid, out=tmp_path / "all.parquet")
    unlink = Path.unlink

    def unlink_and_stop(path, **kwargs):
        unlink(path, **kwargs)
        if path.name in ("_screen.json", "part-00001.parquet"):
            raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", unlink_and_stop)
    other = PhaseModel()
    other.shift = 1.0
    with pytest.raises(KeyboardInterrupt):
        screen(other, grid, out=tmp_path / "all.parquet", overwrite=True)
    monkeypatch.undo()
    assert (tmp_path / "all.parquet.parts" / "_screen.json").exists()
    path = screen(other, grid, out=tmp_path / "all.parquet", overwrite=True)
    pd.testing.assert_frame_equal(pd.read_parquet(path), screen(other, grid))


def test_two_calls_do_not_write_the_same_file(grid, tmp_path):
    class Again(PhaseModel):
        """Screens to the same file while it predicts for the first call."""

        n_chunks = 0

        def predict(self, X, phase):
            if len(X) == 8 and (tmp_path / "all.parquet.parts" / "_screen.json").exists():
                self.n_chunks += 1
                with pytest.raises(
                    FileExistsError, match=r"another call of screen is writing .*pa"
                ):
                    screen(PhaseModel(), grid, out=tmp_path / "all.parquet", overwrite=True)
            return super().predict(X, phase)

    model = Again()
    path = screen(model, grid, out=tmp_path / "all.parquet")
    assert model.n_chunks > 0
    pd.testing.assert_frame_equal(pd.read_parquet(path), screen(PhaseModel(), grid))


def test_a_finished_file_is_not_replaced_unasked(grid, tmp_path):
    path = screen(PhaseModel(), grid, "bcc", out=tmp_path / "a.parquet")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        screen(PhaseModel(), grid, out=path)
    assert len(pd.read_parquet(path)) == 66
    screen(PhaseModel(), grid, out=path, overwrite=True)
    assert len(pd.read_parquet(path)) == 132


@pytest.mark.parametrize("keep", ["all", 7])
def test_a_stopped_run_is_readable_and_goes_on(grid, tmp_path, keep):
    out = tmp_path / "all.parquet"
    model = PhaseModel()
    # One call for the number of targets, two for the probes, two for each chunk of two phases.
    model.fail_at = 2 + 2 + 2 * 5 + 1
    with pytest.raises(KeyboardInterrupt) as stop:
        screen(model, grid, keep=keep, out=out)
    assert "the same call of screen resumes" in stop.value.__notes__[0]
    assert not out.exists()
    so_far = pd.read_parquet(tmp_path / "all.parquet.parts")
    assert len(so_far) == (80 if keep == "all" else 35)
    model.fail_at, model.calls = None, 0
    screen(model, grid, keep=keep, out=out)
    assert model.calls == 2 + 2 + 2 * 4, "finished chunks are not predicted again"
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid, keep=keep))
    assert not (tmp_path / "all.parquet.parts").exists()


def test_going_on_with_something_else_is_refused(grid, tmp_path):
    out = tmp_path / "all.parquet"
    model = PhaseModel()
    model.fail_at = 10
    with pytest.raises(KeyboardInterrupt):
        screen(model, grid, out=out)
    model.fail_at = None
    with pytest.raises(ValueError, match=r"another phases: .*bcc.*, now .*fcc"):
        screen(model, grid, "fcc", out=out)
    with pytest.raises(ValueError, match="another grid"):
        screen(model, composition_grid(["Fe", "Ni", "Cr"], 0.05, chunk_size=8), out=out)
    # Little beside the moment, but not beside the energy.
    model.shift = 1.5e-4
    with pytest.raises(ValueError, match="another model"):
        screen(model, grid, out=out)
    screen(model, grid, out=out, overwrite=True)
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(model, grid))


def test_a_run_that_was_killed_while_it_began_goes_on(grid, tmp_path):
    folder = tmp_path / "a.parquet.parts"
    folder.mkdir()
    (folder / "._screen.json.tmp").write_text("{")
    screen(PhaseModel(), grid, out=tmp_path / "a.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]


def test_a_killed_process_loses_what_it_had_in_hand_and_no_more(tmp_path):
    code = """
import os, sys
sys.path[:0] = [%r, %r]
from phase_model import PhaseModel
from sklmat.screening import composition_grid, screen

class Dies(PhaseModel):
    def predict(self, table, phase=None):
        values = super().predict(table, phase)
        if self.calls == 12:
            os.kill(os.getpid(), 9)
        return values

screen(Dies(), composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8), out=%r)
"""
    tests = Path(__file__).parents[1]
    out = tmp_path / "a.parquet"
    code = code % (str(tests), str(tests.parent), str(out))
    done = subprocess.run([sys.executable, "-c", code], check=False, env={**os.environ})
    assert done.returncode == -9
    # Four calls to look at the model, then two for each chunk: the fourth was in hand.
    assert len(pd.read_parquet(tmp_path / "a.parquet.parts")) == 3 * 16
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)
    model = PhaseModel()
    screen(model, grid, out=out)
    assert model.calls == 4 + 2 * 6
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid))


def test_a_folder_of_others_is_left_alone(grid, tmp_path):
    (tmp_path / "a.parquet.parts").mkdir()
    (tmp_path / "a.parquet.parts" / "precious").touch()
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="not ours"):
            screen(PhaseModel(), grid, out=tmp_path / "a.parquet", overwrite=overwrite)
    assert (tmp_path / "a.parquet.parts" / "precious").exists()


def test_many_chunks_share_a_part(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(screening, "MAX_PARTS", 4)
    written = []
    original = screening.ResumableParquet.write
    monkeypatch.setattr(
        screening.ResumableParquet,
        "write",
        lambda self, number, table: written.append(len(table)) or original(self, number, table),
    )
    out = screen(PhaseModel(), grid, out=tmp_path / "a.parquet", keep=20)
    # Nine chunks of eight, the last of two, in three parts: the best twenty of each.
    assert written == [20, 20, 20]
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid, keep=20))


def test_processes_change_nothing(grid, tmp_path, processes):
    serial = screen(linear_model(), composition_grid(["Fe", "Ni"], 0.01, chunk_size=9), n_jobs=1)
    two = screen(
        linear_model(),
        composition_grid(["Fe", "Ni"], 0.01, chunk_size=9),
        n_jobs=2,
        out=tmp_path / "two.parquet",
    )
    pd.testing.assert_frame_equal(pd.read_parquet(two), serial)


def test_few_chunks_are_under_way(monkeypatch):
    """Predicted and not yet taken: never more than two for each worker."""
    from joblib import parallel_config

    grid = composition_grid(["Fe", "Ni"], 0.01, chunk_size=3)
    done, most = [], 0
    task = lambda table: (done.append(1) or table, [])  # noqa: E731
    with parallel_config(backend="threading"):
        tables = screening._predict_chunks(task, grid, range(len(grid)), 2, screening_bar())
        for taken, _ in enumerate(tables, 1):
            most = max(most, len(done) - taken)
    assert len(done) == taken == 34
    assert most < 4


def screening_bar():
    from tqdm.auto import tqdm

    return tqdm(disable=True)


def test_memory_of_the_best_does_not_grow():
    model = PhaseModel()
    screen(model, composition_grid(["Fe", "Ni", "Cr"], 0.1), keep=10)
    peaks = []
    for step in (0.02, 0.005):
        grid = composition_grid(["Fe", "Ni", "Cr"], step, chunk_size=1000)
        tracemalloc.start()
        screen(model, grid, keep=10)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert grid.n_points == 20_301
    assert peaks[1] < 1.3 * peaks[0]


def test_too_much_for_memory_is_refused_before_it_starts(grid, monkeypatch, tmp_path):
    monkeypatch.setattr(screening, "MAX_ROWS", 100)
    model = PhaseModel()
    with pytest.raises(ValueError, match="132 rows would have to be kept in memory"):
        screen(model, grid)
    assert model.calls <= 2
    assert len(screen(model, grid, stable_only=True)) == 66
    assert len(screen(model, grid, keep=120)) == 120
    assert screen(model, grid, out=tmp_path / "all.parquet").exists()


def test_progress_bar_counts_alloys(grid, tmp_path, capfd):
    screen(PhaseModel(), grid, verbose=True)
    assert "66.0/66.0" in capfd.readouterr().err
    screen(PhaseModel(), grid)
    assert capfd.readouterr().err == ""


def test_a_folder_holds_the_parts_of_the_grid_in_order(grid, tmp_path):
    out = screen(PhaseModel(), grid, out=tmp_path / "alloys")
    assert sorted(path.name for path in out.glob("[!_.]*")) == [
        f"part-{number:05d}.parquet" for number in range(len(grid))
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(out), screen(PhaseModel(), grid))


def test_the_same_call_adds_only_missing_parts_to_a_folder(grid, tmp_path):
    out = screen(PhaseModel(), grid, out=tmp_path / "alloys")
    complete = pd.read_parquet(out)
    parts = sorted(out.glob("*.parquet"))
    times = [path.stat().st_mtime_ns for path in parts]
    parts[3].unlink()
    assert screen(PhaseModel(), grid, out=out) == out
    changed = [path.stat().st_mtime_ns != before for path, before in zip(parts, times)]
    assert [k for k, is_new in enumerate(changed) if is_new] == [3]
    pd.testing.assert_frame_equal(pd.read_parquet(out), complete)
    with pytest.raises(ValueError, match="another phases"):
        screen(PhaseModel(), grid, "bcc", out=out)


def test_the_best_rows_are_no_folder(grid, tmp_path):
    with pytest.raises(ValueError, match=r"must end with \.parquet"):
        screen(PhaseModel(), grid, keep=3, out=tmp_path / "best")
