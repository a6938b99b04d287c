"""Statistics on disk: found again under the same key, and under no other; damage is no more than a warning."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from stylegan_v.metrics.reference_cache import ReferenceCache

KEY = {"manifest": "m", "protocol": "p", "detector": "d", "num": 5, "num_sanity": 2, "size": [16, 16]}
ARRAYS = {"mean": np.arange(3.0), "num": np.array(5)}
ROWS = {"real": 0.1, "frozen": 1 / 3, "num": 2}


@pytest.fixture
def cache(tmp_path: Path) -> ReferenceCache:
    made = ReferenceCache(tmp_path / "new" / "folder")
    made.put(KEY, ARRAYS, ROWS)
    return made


def test_what_was_kept_is_found_again_to_the_bit(cache: ReferenceCache) -> None:
    arrays, rows = cache.get(dict(reversed(KEY.items())))
    assert rows == ROWS and set(arrays) == set(ARRAYS)
    assert all(np.array_equal(arrays[name], value) for name, value in ARRAYS.items())
    assert not list(cache.folder.glob(".*")), "a temporary file is left"


@pytest.mark.parametrize("name", KEY)
def test_other_keys_find_nothing(cache: ReferenceCache, name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert cache.get({**KEY, name: [1, 2]}) is None
    assert cache.get({key: value for key, value in KEY.items() if key != name}) is None
    assert not caplog.records


def test_file_of_another_key_is_left_aside(cache: ReferenceCache) -> None:
    """Names are a part of a hash, so the whole key is compared."""
    other = {**KEY, "num": 6}
    cache.path(KEY).rename(cache.path(other))
    assert cache.get(other) is None


def damaged(content: bytes) -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    kinds = {"empty": b"", "half": content[: len(content) // 2], "text": b"text", "npy": b"\x93NUMPY\x01\x00v\x00{"}
    kinds["cut"] = content[:-1]
    for place in rng.integers(len(content), size=40).tolist():
        kinds[f"byte {place}"] = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
    for place in rng.integers(len(content), size=10).tolist():
        kinds[f"hole {place}"] = content[:place] + bytes(30) + content[place + 30 :]
    return kinds


def test_damaged_file_is_made_anew_with_a_warning(cache: ReferenceCache, caplog: pytest.LogCaptureFixture) -> None:
    path = cache.path(KEY)
    for what, content in damaged(path.read_bytes()).items():
        caplog.clear()
        path.write_bytes(content)
        found = cache.get(KEY)
        if found is not None:  # a byte that says nothing, such as a date
            assert found[1] == ROWS and np.array_equal(found[0]["mean"], ARRAYS["mean"]), what
            continue
        assert "made anew" in caplog.text or "byte" in what, what
    cache.put(KEY, ARRAYS, ROWS)
    assert cache.get(KEY)[1] == ROWS


def test_array_file_in_its_place(cache: ReferenceCache, caplog: pytest.LogCaptureFixture) -> None:
    with cache.path(KEY).open("wb") as file:
        np.save(file, np.zeros(3))
    assert cache.get(KEY) is None and "made anew" in caplog.text


def test_objects_are_not_unpickled(cache: ReferenceCache, caplog: pytest.LogCaptureFixture) -> None:
    np.savez(cache.path(KEY), mean=np.array([{}], dtype=object), __key__=np.array("x"), __sanity__=np.array("{}"))
    assert cache.get(KEY) is None and "made anew" in caplog.text


@pytest.mark.parametrize("stands_in", ["file", "folder"])
def test_folder_that_cannot_be_written_is_only_said(
    tmp_path: Path, stands_in: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ReferenceCache(tmp_path / "place")
    if stands_in == "file":
        cache.folder.write_text("")
    else:
        cache.path(KEY).mkdir(parents=True)
    with caplog.at_level(logging.WARNING):
        cache.put(KEY, ARRAYS, ROWS)
    assert "cannot be kept" in caplog.text
    assert cache.get(KEY) is None


def test_full_disk_leaves_what_was_there(cache: ReferenceCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **settings: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    cache.put(KEY, {"mean": np.zeros(3)}, ROWS)
    assert np.array_equal(cache.get(KEY)[0]["mean"], ARRAYS["mean"])


def test_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ReferenceCache().folder == tmp_path / "stylegan_v" / "metrics"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ReferenceCache().folder == tmp_path / ".cache" / "stylegan_v" / "metrics"


def test_rows_are_json(cache: ReferenceCache) -> None:
    with np.load(cache.path(KEY)) as file:
        assert json.loads(str(file["__sanity__"])) == ROWS
