"""Writers in forks of this process: killed, without space or permission, or two at once."""

import errno
import os
import pickle
import resource
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from pathlib import Path

from tqdm import tqdm

#: Files of processes that were killed seem to be so old (s) when the process runs again.
LATER = 7200
#: A run that takes longer hangs (s); the machine may be busy.
LONGEST = 300
#: A user who is not root, for whom a folder can be read-only.
NOBODY = 65534


class Fork:
    """A function that runs in a fork.

    Parameters
    ----------
    function : callable
    *args
    """

    def __init__(self, function, *args):
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(reading)
                os.write(writing, b"s")
                signal.alarm(LONGEST)
                # All forks share a lock of progress bars, which one that is killed may hold.
                tqdm.set_lock(threading.RLock())
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    try:
                        answer = function(*args), None
                    except BaseException as error:
                        answer = None, "".join(traceback.format_exception_only(error))
                with os.fdopen(writing, "wb") as pipe:
                    pickle.dump((*answer, [str(w.message) for w in caught]), pipe)
            finally:
                os._exit(0)
        os.close(writing)
        self.pipe = os.fdopen(reading, "rb")
        # Until the function begins.
        self.pipe.read(1)

    def end(self):
        """Wait; set the result, the text of the error, the warnings, and the exit code."""
        with self.pipe:
            content = self.pipe.read()
        self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.result = self.error = None
        self.warnings = []
        if self.code == 0:
            self.result, self.error, self.warnings = pickle.loads(content)
        elif self.code == -signal.SIGALRM:
            self.error = "it hangs"
        return self


class FileOperations:
    """Counts calls of the functions that read and write files, and kills the process at one."""

    def __init__(self, at=None):
        self.n, self.at = 0, at

    def __call__(self, frame, event, argument):
        if event in ("c_call", "c_return") and _is_file_operation(argument):
            self.n += 1
            if self.n == self.at:
                os.kill(os.getpid(), signal.SIGKILL)

    def count(self, function, *args):
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            function(*args)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        return self.n


def _is_file_operation(function):
    owner = getattr(function, "__self__", None)
    return "posix" in (function.__module__, getattr(owner, "__name__", "")) or (
        "_io" in (function.__module__, type(owner).__module__)
    )


def content(folder):
    """Final files and their bytes, and the names of the others."""
    final, others = {}, set()
    # `os.walk` skips temporary folders that are removed meanwhile, `rglob` raises.
    walk = os.walk(folder)
    paths = [Path(parent, name) for parent, *names in walk for name in (*names[0], *names[1])]
    for path in sorted(paths):
        name = path.relative_to(folder)
        if any(part.startswith(".") for part in name.parts):
            others.add(str(name))
        elif path.is_file():
            final[str(name)] = path.read_bytes()
    return final, others


def unreadable(writer, folder):
    """What is wrong with the files under final names."""
    problems = []
    for name in content(folder)[0]:
        readers = [read for known, read in writer.readers.items() if Path(name).match(known)]
        if not readers:
            problems.append(f"{name} is no final file")
            continue
        try:
            readers[0](folder / name)
        except FileNotFoundError:
            continue  # Another process has removed it.
        except Exception as error:
            problems.append(f"{name} cannot be read: {error!r}")
    return problems


def _run(writer, folder):
    """The result as bytes, which are compared bit for bit, and the time that it took."""
    start = time.perf_counter()
    result = pickle.dumps(writer.run(folder))
    return result, time.perf_counter() - start


class Uninterrupted:
    """What a writer does when nothing happens."""

    def __init__(self, writer):
        self.writer = writer
        with tempfile.TemporaryDirectory() as folder:
            # Here, so that all forks have imported everything.
            writer.run(Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            run = Fork(_run, writer, folder).end()
            assert run.error is None, run.error
            self.result, self.duration = run.result
            self.final, self.others = content(folder)
            problems = unreadable(writer, folder)
            assert problems == [], problems
        with tempfile.TemporaryDirectory() as folder:
            run = Fork(FileOperations().count, writer.run, Path(folder)).end()
            assert run.error is None, run.error
            self.n_operations = run.result

    def differences(self, folder):
        """Run the writer to its end, and say what differs."""
        run = Fork(_run, self.writer, folder).end()
        if run.error is not None or run.code != 0:
            return [f"the same run again ended with {run.code}: {run.error}"]
        return self._difference(run, folder)

    def _difference(self, run, folder):
        final, others = content(folder)
        problems = unreadable(self.writer, folder)
        if run.result[0] != self.result:
            problems.append("another result")
        if final.keys() != self.final.keys():
            problems.append(f"other files: {sorted(final.keys() ^ self.final.keys())}")
        elif self.writer.has_same_bytes and final != self.final:
            problems.append("other bytes")
        if others != self.others:
            problems.append(f"left behind: {sorted(others - self.others)}")
        return problems

    def kill(self, by_time, moment):
        """Kill the writer at a moment between 0 and 1, and run it again to its end.

        Parameters
        ----------
        by_time : bool
            Whether the moment is a fraction of the duration, or of the operations on files.
        moment : float

        Returns
        -------
        dict
        """
        with tempfile.TemporaryDirectory() as name:
            folder, writer = Path(name), self.writer
            if by_time:
                run = Fork(_run, writer, folder)
                time.sleep(moment * self.duration)
                os.kill(run.pid, signal.SIGKILL)
            else:
                operations = FileOperations(1 + int(moment * self.n_operations))
                run = Fork(operations.count, writer.run, folder)
            report = {"killed": run.end().code == -signal.SIGKILL}
            report["unfinished"] = len(content(folder)[1] - self.others)
            report["problems"] = unreadable(writer, folder)
            later = time.time() - LATER
            for path in folder.rglob("*"):
                os.utime(path, (later, later))
            report["problems"] += self.differences(folder)
            return report

    def fill_disk(self):
        """Run the writer where files can be half as large as its largest one; return problems."""
        largest = max(self.final, key=lambda name: len(self.final[name]))
        limit = len(self.final[largest]) // 2
        problems = []
        for is_filled in (False, True):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                if is_filled:
                    problems += self.differences(folder)
                before = content(folder)[0]
                run = Fork(_with_limit, limit, self.writer, folder).end()
                problems += self._complaint(run, folder, os.strerror(errno.EFBIG), is_filled)
                final, others = content(folder)
                changed = {name for name in before if final.get(name) != before[name]}
                # `sklmat compare` writes smaller files first, which differ in the times.
                if run.error and (largest in changed or (changed and self.writer.has_same_bytes)):
                    problems.append(f"old files have changed: {sorted(changed)}")
                if any(name.endswith(".part") for name in others):
                    problems.append(f"left behind: {sorted(others)}")
                problems += unreadable(self.writer, folder) + self.differences(folder)
        return problems

    def write_protect(self):
        """Run the writer in a folder to which it may not write; return problems."""
        problems = []
        for is_filled in (False, True):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                if is_filled:
                    problems += self.differences(folder)
                for path in (folder, *folder.rglob("*")):
                    path.chmod(0o555 if path.is_dir() else 0o444)
                before = content(folder)[0]
                run = Fork(_as_nobody, _run, self.writer, folder).end()
                problems += self._complaint(run, folder, os.strerror(errno.EACCES), is_filled)
                run = Fork(_as_nobody, unreadable, self.writer, folder).end()
                problems += [run.error] if run.error else run.result
                if content(folder)[0] != before:
                    problems.append("files have changed")
                for path in (folder, *folder.rglob("*")):
                    path.chmod(0o755 if path.is_dir() else 0o644)
        return problems

    def _complaint(self, run, folder, reason, may_succeed):
        """What is wrong with an error or a warning, which must say why and where."""
        if run.error is None:
            if run.result[0] != self.result:
                return ["another result"]
            said = [message for message in run.warnings if reason in message]
            return [] if may_succeed or said else [f"neither error nor warning: {run.warnings}"]
        is_clear = "OSError: " in run.error.replace("PermissionError", "OSError")
        is_clear = is_clear and reason in run.error and str(folder) in run.error
        return [] if is_clear else [f"unclear: {run.error}"]

    def run_twice_at_once(self):
        """Run two of them at the same time in one folder; return problems."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            runs = [Fork(_run, self.writer, folder) for _ in range(2)]
            problems = []
            end = time.perf_counter() + self.duration
            while time.perf_counter() < end:
                problems += unreadable(self.writer, folder)
            runs = [run.end() for run in runs]
            # `screen` and `predict_dataset` say that the other one is writing.
            done = [run for run in runs if run.error is None]
            if len(done) < 2 and not any("another call" in (run.error or "") for run in runs):
                problems += [run.error for run in runs if run.error]
            for run in done:
                problems += self._difference(run, folder)
            return problems + self.differences(folder)


def _with_limit(limit, writer, folder):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return _run(writer, folder)


def _as_nobody(function, *args):
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    return function(*args)
