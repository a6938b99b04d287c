from __future__ import annotations

from pathlib import Path

import pytest
import torch

from errors import InputError
from stylegan_v.metrics.detectors import table
from stylegan_v.metrics.detectors.i3d import I3D
from stylegan_v.metrics.detectors.interface import NOT_COMPARABLE
from stylegan_v.metrics.detectors.table import DETECTORS, describe_table, load_detector
from tests.stylegan_v.metrics.detectors.scripts import ToyI3D, ToyInception, script
from weight_files import Located, MissingWeights, WeightFile, file_sha256

SPECS = [spec for entry in DETECTORS.values() for spec in entry.weights]


def test_the_table_names_every_network_once() -> None:
    published, ours = ["i3d", "inception", "c3d", "videomae"], ["random_3d", "random_2d", "factors"]
    assert list(DETECTORS) == published + ours
    assert [name for name, entry in DETECTORS.items() if entry.caveat == NOT_COMPARABLE] == ours
    assert all(entry.name == name and (entry.load is None) == (not entry.weights) for name, entry in DETECTORS.items())


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.file)
def test_every_file_has_a_page_a_licence_and_a_safe_address(spec: WeightFile) -> None:
    assert spec.licence and spec.about
    assert spec.page.startswith(("https://", "the command "))
    assert spec.url is None or (spec.url.startswith("https://") and spec.file in spec.url)


@pytest.mark.parametrize("name", [name for name, entry in DETECTORS.items() if entry.weights])
def test_a_missing_file_is_one_line_with_file_page_and_target(tmp_path: Path, name: str) -> None:
    with pytest.raises(MissingWeights) as caught:
        load_detector(name, cache_dir=tmp_path)

    line, spec = str(caught.value), DETECTORS[name].weights[0]
    assert "\n" not in line
    assert all(word in line for word in (name, spec.file, spec.page, str(tmp_path / spec.file)))
    assert ("--download" in line) == (spec.url is not None)


def test_a_given_path_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match=r"no weights at .*mine\.pt"):
        load_detector("i3d", tmp_path / "mine.pt", cache_dir=tmp_path)


def test_a_network_comes_from_the_cache_or_from_a_path_with_the_hash_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    cached = script(ToyI3D(), tmp_path / "cache" / "i3d_torchscript.pt")
    mine = script(ToyI3D(features=3), tmp_path / "mine.pt")
    batch = torch.randint(256, (1, 10, 3, 8, 8), dtype=torch.uint8)

    for detector, path, width in [
        (load_detector("i3d", cache_dir=cached.parent), cached, 7),
        (load_detector("i3d", mine, cached.parent), mine, 3),
    ]:
        assert isinstance(detector, I3D)
        assert detector.digest == file_sha256(path)
        assert detector.features(batch).shape == (1, width)


def test_of_two_files_the_suffix_decides_or_which_is_there(tmp_path: Path) -> None:
    script(ToyInception(), tmp_path / "inception-2015-12-05.pt")
    assert load_detector("inception", cache_dir=tmp_path).name == "inception"

    (tmp_path / "mine.pth").write_bytes(b"other")
    with pytest.raises(InputError, match=r"that of weights-inception-2015-12-05-6726825d\.pth is 6726825d"):
        load_detector("inception", tmp_path / "mine.pth")
    (tmp_path / "inception-2015-12-05.pt").unlink()
    (tmp_path / "weights-inception-2015-12-05-6726825d.pth").write_bytes(b"other")
    with pytest.raises(InputError, match="a damaged or another file"):
        load_detector("inception", cache_dir=tmp_path)


def test_another_file_than_the_published_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"other")
    with pytest.raises(InputError, match="a damaged or another file"):
        load_detector("videomae", tmp_path / "mine.pth")


@pytest.mark.parametrize("name", [name for name, entry in DETECTORS.items() if not entry.weights])
def test_a_network_without_a_file_is_made(name: str) -> None:
    detector = load_detector(name)
    assert (detector.name, detector.caveat) == (name, NOT_COMPARABLE)
    assert detector.features(torch.zeros(1, detector.min_frames, 3, 16, 16, dtype=torch.uint8)).ndim == 2


@pytest.mark.parametrize("name", [name for name, entry in DETECTORS.items() if entry.weights])
def test_every_kind_of_file_is_refused_in_one_line_where_it_is_something_else(tmp_path: Path, name: str) -> None:
    entry = DETECTORS[name]
    assert entry.load is not None
    for spec in entry.weights:
        path = tmp_path / spec.file
        path.write_bytes(b"something else" * 100)
        with pytest.raises(InputError, match=spec.file) as caught:
            entry.load(path, "0" * 64, torch.device("cpu"))
        assert "\n" not in str(caught.value)


def test_unknown_names_and_needless_paths_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"detector: i3dd: there is no such network: choose one of i3d, inception"):
        load_detector("i3dd")
    with pytest.raises(InputError, match="random_3d: is made without a file"):
        load_detector("random_3d", tmp_path / "a.pt")


def test_the_table_says_what_is_there_and_what_to_get(tmp_path: Path) -> None:
    path = script(ToyI3D(), tmp_path / "i3d_torchscript.pt")
    rows = {line.split(" | ")[0].strip("| "): line for line in describe_table(tmp_path).splitlines()[2:]}

    assert rows.keys() == DETECTORS.keys()
    assert f"is at {path}" in rows["i3d"] and file_sha256(path) in rows["i3d"]
    assert (
        f"missing: get c3d_ucf101.pt from https://github.com/universome/stylegan-v and put it at {tmp_path}"
        in rows["c3d"]
    )
    assert "none needed" in rows["random_3d"] and NOT_COMPARABLE in rows["random_3d"]
    assert {line.count("|") for line in describe_table(tmp_path).splitlines()} == {8}


def test_fetching_goes_by_the_name_of_the_network_or_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "download", lambda spec, cache_dir: Located(Path(cache_dir, spec.file), "0" * 64))

    assert table.fetch("inception", tmp_path).path == tmp_path / "inception-2015-12-05.pt"
    other = "weights-inception-2015-12-05-6726825d.pth"
    assert table.fetch(other, tmp_path).path == tmp_path / other
    with pytest.raises(InputError, match="needs no file of weights"):
        table.fetch("random_3d", tmp_path)
    with pytest.raises(InputError, match="there is no such network"):
        table.fetch("nothing", tmp_path)
