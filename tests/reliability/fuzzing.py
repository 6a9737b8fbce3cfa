"""Seeded mutations of files, and what a reader did with a mutated file."""

import json
import resource
import struct
import sys
import time
import warnings

import numpy as np

#: Values that replace one in JSON.
_VALUES = (None, True, -1, 0, 10**6, 10**30, 0.5, -1e300, float("nan"), "", "x", "é" * 40)
_VALUES += ([], {}, [[[]]], "../../etc", {"__array__": [0], "dtype": "V9999999"}, {"__path__": "a"})
#: Longest CPU time (s) and memory (bytes beside ten times the file) of reading a small file.
_SECONDS, _MEMORY = 1.0, 200_000_000


def mutate(data, rng):
    """Truncate a file, change some bytes, swap, remove or repeat blocks of it, or change JSON."""
    kind = rng.integers(8)
    data = bytearray(data)
    if kind >= 5:
        return _mutate_json(bytes(data), rng)
    if not data:
        return b"\0"
    if kind == 0:
        return bytes(data[: rng.integers(len(data))])
    if kind == 1:
        for place in rng.integers(len(data), size=rng.integers(1, 9)):
            data[place] ^= 1 << rng.integers(8)
        return bytes(data)
    length = int(rng.integers(1, min(len(data), 64) + 1))
    first, second = sorted(int(p) for p in rng.integers(len(data) - length + 1, size=2))
    if kind == 2 and second >= first + length:
        data[first : first + length], data[second : second + length] = (
            data[second : second + length],
            data[first : first + length],
        )
    elif kind == 3:
        del data[first : first + length]
    else:
        data[second:second] = data[first : first + length] * int(rng.integers(1, 20))
    return bytes(data)


def without_digest(path):
    """Leave the digest out of a safetensors file, as someone would who changes the file."""
    data = path.read_bytes()
    header, rest = split_header(data)
    header["__metadata__"].pop("digest", None)
    path.write_bytes(join_header(header, rest))


def has_digest(path):
    """Whether a safetensors file has a digest that its reader compares."""
    try:
        header, _ = split_header(path.read_bytes())
        return "digest" in header["__metadata__"]
    except (ValueError, struct.error, KeyError, TypeError):
        return False


def split_header(data):
    """Header of a safetensors file, and the bytes of its arrays."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join_header(header, rest):
    """Bytes of a safetensors file."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + rest


def _mutate_json(data, rng):
    """Change a value in the header of a safetensors file, in JSON, or in bytes that are neither."""
    if data[8:9] == b"{":
        try:
            header, rest = split_header(data)
        except ValueError:
            return data[:-1]
        return join_header(_changed(header, rng), rest)
    try:
        return json.dumps(_changed(json.loads(data), rng)).encode()
    except ValueError:
        place = int(rng.integers(len(data) + 1))
        word = str(_VALUES[rng.integers(len(_VALUES))]).encode()
        return data[:place] + word + data[place + len(word) :]


def _changed(value, rng):
    """The value with one change at a random place; text that is JSON is changed within."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.dumps(_changed(json.loads(value), rng))
        except ValueError:
            pass
    if not isinstance(value, dict | list) or not value or rng.random() < 0.03:
        return _VALUES[rng.integers(len(_VALUES))]
    value = dict(value) if isinstance(value, dict) else list(value)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    key = keys[int(rng.integers(len(value)))]
    if "__metadata__" in keys and rng.random() < 0.5:
        key = "__metadata__"
    what = rng.random()
    if what < 0.08:
        value.pop(key)
    elif what < 0.16 and isinstance(value, dict):
        value[str(_VALUES[rng.integers(len(_VALUES))])] = value.pop(key)
    elif what < 0.2 and isinstance(value, dict):
        value["predict"] = value[key]
    else:
        value[key] = _changed(value[key], rng)
    return value


def outcome(read, path, is_right):
    """What is wrong with the behaviour of a reader, or None.

    Parameters
    ----------
    read : callable
        Takes the path.
    path : Path
    is_right : callable
        Takes what was read.
    """
    memory, start = _peak(), time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = read(path)
            wrong = None if is_right(result) else "wrong result"
        except FileNotFoundError as error:
            wrong = f"{error!r}"
        except ValueError as error:
            wrong = None
            if type(error) is not ValueError and not type(error).__module__.startswith("sklmat."):
                wrong = f"{type(error).__name__}: {error}"
            elif path.name not in str(error):
                wrong = f"without the path: {error}"
        except Exception as error:
            wrong = f"{type(error).__module__}.{type(error).__name__}: {error}"
    duration, memory = time.process_time() - start, _peak() - memory
    if duration > _SECONDS:
        return f"{duration:.1f} s of CPU time; {wrong}"
    if memory > _MEMORY + 10 * path.stat().st_size:
        return f"{memory / 1e6:.0f} MB; {wrong}"
    return wrong


def _peak():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def failures(read, path, n_mutations, seed, is_right):
    """Mutation number -> what went wrong, for mutations of the file `path`.

    A mutation is made again from its seed and its number: ``mutated(data, seed, number)``.
    """
    data = path.read_bytes()
    found = {}
    damaged = path.with_name(f"damaged-{path.name}")
    for number in range(n_mutations):
        content = mutated(data, seed, number)
        damaged.write_bytes(content)
        # Without a digest, changed numbers are not noticed.
        is_noticed = content != data and (has_digest(damaged) or not has_digest(path))
        wrong = outcome(read, damaged, is_right if is_noticed else lambda result: True)
        if wrong is not None:
            found[number] = wrong[:300]
    return found


def mutated(data, seed, number):
    """The mutation with this number, of one to three steps."""
    rng = np.random.default_rng([seed, number])
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = mutate(data, rng)
    return data
