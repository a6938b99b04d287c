"""Protocols: what is read, what is refused in one line, and what their hash tells."""

from __future__ import annotations

from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from errors import InputError
from stylegan_v.metrics.choices import ClipChoice, FakeChoice, FilmedChoice, Frechet, Inception, Kernel, RealChoice
from stylegan_v.metrics.detectors.table import DETECTORS
from stylegan_v.metrics.protocols import FOLDER, MetricProtocol, list_protocols, read_protocol

MEASURES = {"frechet": Frechet, "kernel": Kernel, "inception_score": Inception}
TEXT = (FOLDER / "fvd_16f.yaml").read_text()
CLIP = "clip:\n  num_frames: 16\n  stride: 1\n"
MEASURE = "measure:\n  frechet:\n    covariance: unbiased\n"


def written(tmp_path: Path, text: str | bytes, name: str = "mine") -> Path:
    path = tmp_path / f"{name}.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_all_of_the_issue_are_there() -> None:
    official = {"fvd2048_16f", "fvd2048_128f", "fvd2048_128f_subsample8f", "fid50k_full", "kid", "is", "ucf_is"}
    assert set(list_protocols()) >= {f"styleganv_{name}" for name in official} | {
        "fvd_16f",
        "fvd_128f",
        "fid",
        "kvd_16f",
    }


@pytest.mark.parametrize("name", list_protocols())
def test_every_file_names_every_choice(name: str) -> None:
    config = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    protocol = read_protocol(name)
    assert set(config) == {item.name for item in fields(MetricProtocol)} - {"name"}
    (kind, options), *more = config["measure"].items()
    assert not more and set(options) == {item.name for item in fields(MEASURES[kind])}
    for key, value in vars(protocol).items():
        if is_dataclass(value) and key != "measure":
            assert set(config[key]) == {item.name for item in fields(value)}, key
            assert {**config[key], "late_starts": ()} == {**asdict(value), "late_starts": ()}
    assert protocol.name == name and protocol.detector in DETECTORS and protocol.about and protocol.comparable


@pytest.mark.parametrize("name", ["fvd_16f", "fvd_128f", "fid", "kvd_16f"])
def test_siblings_are_unbiased(name: str) -> None:
    protocol = read_protocol(name)
    assert protocol.fake.starts == "as_real" and protocol.equal_num
    assert protocol.fake.late_starts == (0, 128, 1000, 10000) and protocol.num_draws == 5
    assert protocol.measure in (Frechet("unbiased"), Kernel())


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)
REFUSED = {
    "unknown": (TEXT + "extra: 1\n", "extra"),
    "unknown below": (TEXT.replace("stride: 1", "stride: 1\n  skip: 2"), "skip"),
    "name": (TEXT + "name: other\n", "name"),
    "number as key": (TEXT + "1: 2\n", "'1'"),
    "wrong type": (TEXT.replace("num_draws: 5", "num_draws: five"), "num_draws.*five"),
    "fraction": (TEXT.replace("num_frames: 16", "num_frames: 1.5"), "clip.num_frames"),
    "word": (TEXT.replace("order: random", "order: sideways"), "real.order.*sideways"),
    "number for a group": (TEXT.replace(CLIP, "clip: 5\n"), "clip: give names and values"),
    "class for a group": (
        TEXT.replace(CLIP, "clip: {class_path: spoilt.Clip, init_args: {}}\n"),
        "clip: give names and values",
    ),
    "class for a word": (TEXT.replace("seed: 0", "seed: {class_path: spoilt.Clip}"), "seed: give names and values"),
    "file for a group": (TEXT.replace(CLIP, "clip: clip.yaml\n"), "clip: give names and values"),
    "no clip": (TEXT.replace(CLIP, ""), "clip.num_frames"),
    "no measure": (TEXT.replace(MEASURE, ""), "measure: give one of frechet, kernel"),
    "measure as word": (TEXT.replace(MEASURE, "measure: frechet\n"), "measure: give one of"),
    "measure as list": (TEXT.replace(MEASURE, "measure: [frechet]\n"), "measure: give one of"),
    "two measures": (TEXT.replace(MEASURE, "measure: {frechet: {}, kernel: {}}\n"), "measure: give one of"),
    "option of a measure": (TEXT.replace("covariance: unbiased", "covarianse: unbiased"), "covarianse"),
    "value of a measure": (TEXT.replace("covariance: unbiased", "covariance: none"), "measure.covariance.*none"),
    "mirrored": (TEXT.replace("mirror: false", "mirror: true"), "real.mirror"),
    "no frames": (TEXT.replace("num_frames: 16", "num_frames: 0"), "clip.num_frames: too small"),
    "no stride": (TEXT.replace("stride: 1", "stride: 0"), "clip.stride: too small"),
    "no fakes": (TEXT.replace("num: 2048\n  starts: as", "num: 0\n  starts: as"), "fake.num: too small"),
    "no draws": (TEXT.replace("num_draws: 5", "num_draws: 0"), "num_draws: too small"),
    "too many fakes": (TEXT.replace("num: 2048\n  starts: as", "num: 99999999\n  starts: as"), "fake.num: too large"),
    "too many samples": (
        TEXT.replace(MEASURE, "measure: {kernel: {num_resamples: 99999999}}\n"),
        "measure.num_resamples: too large: give at most 10000000",
    ),
    "negative seed": (TEXT.replace("seed: 0", "seed: -1"), "seed: too small"),
    "before time": (TEXT.replace("[0, 128, 1000, 10000]", "[0, -1]"), "fake.late_starts: too small"),
    "one start": (TEXT.replace("[0, 128, 1000, 10000]", "5"), "fake.late_starts"),
    "no quality": (TEXT.replace("jpeg_quality: null", "jpeg_quality: 0"), "fake.jpeg_quality: 0: give 1 to 100"),
    "no truncation": (TEXT.replace("truncation_psi: 1.0", "truncation_psi: .nan"), "fake.truncation_psi: nan"),
    "no splits": (TEXT.replace(MEASURE, "measure: {inception_score: {num_splits: 0}}\n"), "measure.num_splits"),
    "subsets of one": (TEXT.replace(MEASURE, "measure: {kernel: {subset_size: 1}}\n"), "measure.subset_size"),
    "not YAML": ("a: [1,\n b: }", "its config is not"),
    "bytes": (bytes(range(256)) * 10, "its config is not"),
    "list": ("- 1\n- 2\n", "its config is not"),
    "nothing": ("", "its config is not"),
    "code": ("about: !!python/object/apply:os.system [exit]\n", "its config is not"),
    "deep": ("a: " + "[" * 60 + "]" * 60, "its config is not"),
    "very deep": ("{a: " * 5000 + "1" + "}" * 5000, "its config is not"),
    "bomb": (BOMB, "its config is not"),
    "huge": (TEXT + "#" * 200_000, "too large"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_protocol_is_refused_in_a_line(tmp_path: Path, what: str) -> None:
    text, message = REFUSED[what]
    assert text != TEXT
    with pytest.raises(InputError, match=message) as caught:
        read_protocol(written(tmp_path, text))
    assert "mine" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_nothing_that_a_file_names_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spoilt.py").write_text("open('imported', 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for node in (
        "clip: {class_path: spoilt.Clip}\n",
        "clip: spoilt.Clip\n",
        "clip: {num_frames: {class_path: spoilt.C}}\n",
    ):
        with pytest.raises(InputError):
            read_protocol(written(tmp_path, TEXT.replace(CLIP, node)))
    for options in ("{class_path: spoilt.Clip}", "spoilt.Clip", "{covariance: {class_path: spoilt.Clip}}"):
        with pytest.raises(InputError):
            read_protocol(written(tmp_path, TEXT.replace(MEASURE, f"measure: {{frechet: {options}}}\n")))
    for text in ("seed: {class_path: spoilt.Clip}", "about: {class_path: spoilt.Clip}", "detector: spoilt.Clip"):
        try:
            read_protocol(written(tmp_path, TEXT + text + "\n"))
        except InputError:
            continue
    assert not (tmp_path / "imported").exists()


def test_names_that_are_none(tmp_path: Path) -> None:
    for name in ("no_such", "", "../metrics/fvd_16f", tmp_path):
        with pytest.raises(InputError, match=r"give a YAML file, or one of .*fvd_16f"):
            read_protocol(name)
    with pytest.raises(InputError, match="no such file"):
        read_protocol(tmp_path / "none.yaml")


def test_hash_is_that_of_the_choices_alone(tmp_path: Path) -> None:
    """Neither name, description, comments nor the order of keys count, nor whether a default is written."""
    digest = read_protocol("fvd_16f").digest
    config = yaml.safe_load(TEXT)
    turned = {key: dict(reversed(value.items())) if isinstance(value, dict) else value for key, value in config.items()}
    turned = dict(reversed(turned.items())) | {"about": "another", "comparable": "with nothing"}
    assert read_protocol(written(tmp_path, yaml.safe_dump(turned, sort_keys=False), "other")).digest == digest
    short = {key: config[key] for key in ("about", "detector", "measure", "clip", "equal_num")}
    short |= {"real": {"order": "random"}, "filmed": {"starts": "random", "order": "random"}}
    short["fake"] = {"starts": "as_real", "late_starts": [0, 128, 1000, 10000], "truncation_psi": 1}
    assert read_protocol(written(tmp_path, yaml.safe_dump(short), "short")).digest == digest


OTHER: dict[str, Any] = {
    "detector": "c3d",
    "detector_sha256": "0" * 64,
    "measure": Frechet("biased"),
    "clip.num_frames": 17,
    "clip.stride": 2,
    "real.take": "every_frame",
    "real.starts": "zero",
    "real.order": "index",
    "real.max_num": None,
    "fake.num": 1,
    "fake.starts": "zero",
    "fake.max_start": 1,
    "fake.late_starts": (0,),
    "fake.truncation_psi": 0.5,
    "fake.jpeg_quality": 95,
    "filmed.starts": "zero",
    "filmed.order": "index",
    "equal_num": False,
    "seed": 1,
    "num_draws": 1,
}
FIXED = {"real.mirror", "real.short_videos", "fake.labels", "fake.weights"}  # there is one value


def test_every_choice_changes_the_hash() -> None:
    protocol = read_protocol("fvd_16f")
    groups = {"clip": ClipChoice, "real": RealChoice, "fake": FakeChoice, "filmed": FilmedChoice}
    all_keys = {f"{key}.{item.name}" for key, group in groups.items() for item in fields(group)}
    all_keys |= {item.name for item in fields(MetricProtocol)} - {*groups, "frames", "name", "about", "comparable"}
    assert set(OTHER) == all_keys - FIXED, "a choice without a test"
    digests = {key: protocol.changed(**{key.replace(".", "__"): value}).digest for key, value in OTHER.items()}
    assert len({protocol.digest, *digests.values()}) == len(OTHER) + 1
    assert replace(protocol, name="x", about="y", comparable="z").digest == protocol.digest


@pytest.mark.parametrize(
    ("measure", "others"),
    [
        (Kernel(), [Kernel(1), Kernel(None, 2), Kernel(None, 1000, 2.0), Kernel(None, 1000, 1.0, 2)]),
        (Inception(), [Inception(1), Inception(10, 1)]),
        (Frechet(), [Frechet("unbiased"), Kernel(), Inception()]),
    ],
)
def test_every_option_of_a_measure_changes_the_hash(measure: Any, others: list[Any]) -> None:
    protocol = replace(read_protocol("fvd_16f"), measure=measure)
    assert len({replace(protocol, measure=each).digest for each in [measure, *others]}) == len(others) + 1


def test_changed_protocol_says_so() -> None:
    protocol = read_protocol("styleganv_fvd2048_16f")
    changed = protocol.changed(fake__num=64, num_draws=5, detector="random_3d")
    assert changed.name == "styleganv_fvd2048_16f[fake.num=64,detector=random_3d]", "what stays is not said"
    assert (changed.fake.num, changed.detector, changed.plain_name) == (64, "random_3d", "styleganv_fvd2048_16f")
    assert changed.comparable == "" and protocol.comparable and changed.digest != protocol.digest
    assert protocol.changed() is protocol and protocol.changed(fake__num=2048) is protocol


def test_another_network_has_other_weights() -> None:
    protocol = replace(read_protocol("fvd_16f"), detector_sha256="a" * 64)
    assert protocol.changed(detector="random_3d").detector_sha256 is None
    assert protocol.changed(detector="i3d", fake__num=3).detector_sha256 == "a" * 64


def test_changes_are_checked_as_files_are() -> None:
    with pytest.raises(InputError, match=r"fake\.num: too small"):
        read_protocol("fvd_16f").changed(fake__num=0)


def test_higher_is_better_for_inception_scores_alone() -> None:
    higher = {name for name in list_protocols() if not read_protocol(name).lower_is_better}
    assert higher == {"styleganv_is", "styleganv_ucf_is"}
