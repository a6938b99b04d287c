from __future__ import annotations

import hashlib
import pickletools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from errors import InputError
from stylegan_v.official.conversion import read_original
from stylegan_v.official.snapshot import Snapshot, read_snapshot
from tests.stylegan_v.official.pickles import PROGRAM, SAMPLE, OldSnapshot, StandIns, written

EXPECTED = np.load(SAMPLE.with_name("official_style_small_expected.npz"))


@pytest.fixture(scope="module")
def sample() -> Snapshot:
    return read_snapshot(SAMPLE)


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    return StandIns(monkeypatch)


@pytest.fixture
def old(stand_ins: StandIns) -> OldSnapshot:
    return OldSnapshot(stand_ins)


@pytest.mark.parametrize("net", ["G", "D", "G_ema"])
def test_every_tensor_of_the_sample_is_read_bit_for_bit_in_the_recorded_order(sample: Snapshot, net: str) -> None:
    prefix = f"state/{net}/"
    names = [name.removeprefix(prefix) for name in EXPECTED.files if name.startswith(prefix)]
    assert list(sample.networks[net]) == names
    for name in names:
        tensor, recorded = sample.networks[net][name], EXPECTED[prefix + name]
        assert tensor.numpy().dtype == recorded.dtype and tensor.numpy().tobytes() == recorded.tobytes(), name
        assert tensor.shape == recorded.shape and tensor.is_contiguous()


@pytest.mark.parametrize("net", ["G", "D", "G_ema"])
def test_parameters_are_all_but_the_filters_frequencies_and_running_means(sample: Snapshot, net: str) -> None:
    kept = ("resample_filter", "freqs", "phase_scales", "w_avg", "fourier_coefs")
    others = [name for name in sample.networks[net] if not name.endswith(kept)]
    assert list(sample.parameters[net]) == others


def test_moments_are_found_by_the_names_of_the_parameters(sample: Snapshot) -> None:
    moments = sample.optimizers["G_opt"].moments
    first = sample.parameters["G"][0]
    assert first.startswith("synthesis.motion_encoder.")
    np.testing.assert_array_equal(moments[first]["exp_avg"].numpy(), EXPECTED["G_opt/exp_avg_first_param"])
    for net in ("G", "D"):
        stored = sample.optimizers[f"{net}_opt"].moments
        assert set(stored) <= set(sample.parameters[net]) and all(entry["step"] >= 1 for entry in stored.values())
        assert list(stored) == [name for name in sample.parameters[net] if name in stored]


def test_settings_of_the_optimizers_are_those_corrected_for_lazy_regularisation(sample: Snapshot) -> None:
    for net, every in (("G", 4), ("D", 16)):
        share = every / (every + 1)
        settings = sample.optimizers[f"{net}_opt"].settings
        assert settings["lr"] == pytest.approx(0.0025 * share)
        assert settings["betas"] == pytest.approx([0.0, 0.99**share])
        assert settings["eps"] == 1e-8 and "params" not in settings


def test_the_settings_of_the_whole_run_are_found_and_their_references_resolved(sample: Snapshot) -> None:
    config = sample.config
    assert config is not None
    sampling = {"fps": 30, "max_num_frames": 64, "num_frames_per_video": 3, "type": "random", "max_dist": 32}
    assert config["sampling"].items() >= sampling.items()
    assert config["model"]["generator"]["sampling"] == config["dataset"]["sampling"] == config["sampling"]
    assert config["model"]["generator"]["motion"]["motion_z_distance"] == 16
    assert config["model"]["generator"]["c_dim"] == config["dataset"]["c_dim"] == 0
    assert config["training"]["augpipe"] == "bgc" and config["training"]["batch_size"] == 64
    assert "${" not in str(config) and "???" not in str(config)


def test_arguments_counters_data_and_augmentation_of_the_sample(sample: Snapshot) -> None:
    assert sample.init_kwargs["G"]["img_resolution"] == 32 and sample.init_kwargs["G"]["w_dim"] == 20
    assert sample.init_kwargs["G"]["synthesis_kwargs"]["channel_max"] == 12
    assert sample.init_kwargs["G"]["cfg"] == sample.config["model"]["generator"]
    assert sample.init_kwargs["D"]["epilogue_kwargs"] == {"mbstd_group_size": 4}
    assert sample.sampling["total_dists"] == [2**i for i in range(12)] and sample.sampling["max_num_frames"] == 64
    assert sample.stats == {"cur_nimg": 5004, "cur_tick": 1, "batch_idx": 26}
    assert sample.training_set["resolution"] == 32 and sample.training_set["xflip"] is True
    assert sample.augment.items() >= {"p": 0.0, "xflip": 1.0, "saturation": 1.0, "noise": 0.0, "cutout": 0.0}.items()
    assert sample.skipped == ("vis: not needed",)


def test_the_digest_is_that_of_the_file(sample: Snapshot) -> None:
    assert sample.sha256 == hashlib.sha256(SAMPLE.read_bytes()).hexdigest() and sample.path == SAMPLE


def test_an_old_file_is_what_the_tests_say(old: OldSnapshot, tmp_path: Path) -> None:
    path = written(old.content, tmp_path / "old.pkl")
    names = {operation.name for operation, _, _ in pickletools.genops(path.read_bytes())}
    assert {"GLOBAL", "BINPUT", "LONG_BINPUT", "BINUNICODE"} <= names
    assert not {"STACK_GLOBAL", "MEMOIZE", "FRAME", "SHORT_BINUNICODE"} & names
    assert b"numpy.core.multiarray" in path.read_bytes() and b"cuda:0" in path.read_bytes()


def test_tensors_of_an_old_file_have_their_values_whatever_the_strides_and_storages(
    old: OldSnapshot, tmp_path: Path
) -> None:
    snapshot = read_snapshot(written(old.content, tmp_path / "old.pkl"))
    expected = {"synthesis.0.weight": old.weight, "synthesis.0.bias": old.bias, "mapping.w_avg": old.average}
    for net in ("G", "G_ema"):
        assert list(snapshot.networks[net]) == list(expected)
        for name, tensor in expected.items():
            read = snapshot.networks[net][name]
            assert read.dtype == tensor.dtype and torch.equal(read, tensor) and read.is_contiguous()
        assert snapshot.parameters[net] == ("synthesis.0.weight", "synthesis.0.bias")
    assert snapshot.networks["D"].keys() == {"time_encoder.weight"}
    assert not any(shares_memory(a, b) for a in snapshot.networks["G"].values() for b in expected.values())


def shares_memory(a: Tensor, b: Tensor) -> bool:
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


def test_moments_of_an_old_file_have_whole_steps_and_no_entry_where_there_was_no_gradient(
    old: OldSnapshot, tmp_path: Path
) -> None:
    optimizer = read_snapshot(written(old.content, tmp_path / "old.pkl")).optimizers["G_opt"]
    assert optimizer.settings == {"lr": 0.002, "betas": [0.0, 0.99], "eps": 1e-8}
    assert list(optimizer.moments) == ["synthesis.0.bias"]
    entry = optimizer.moments["synthesis.0.bias"]
    assert entry["step"] == 7 and torch.equal(entry["exp_avg"], old.moment)
    assert torch.equal(entry["exp_avg_sq"], old.moment.square())


def test_moments_are_left_unread_where_nobody_asks_for_them(old: OldSnapshot, tmp_path: Path) -> None:
    path = written(old.content, tmp_path / "old.pkl")
    full, light = read_snapshot(path), read_snapshot(path, with_moments=False)
    assert full.optimizers["G_opt"].moments and not light.optimizers["G_opt"].moments
    assert light.optimizers["G_opt"].settings == full.optimizers["G_opt"].settings
    assert read_original(path).optimizers["G_opt"].moments == {}
    assert read_original(path, with_moments=True).optimizers["G_opt"].moments.keys() == {"synthesis.0.bias"}


def test_settings_of_an_old_file_are_plain_and_what_refers_to_nothing_is_said(old: OldSnapshot, tmp_path: Path) -> None:
    snapshot = read_snapshot(written(old.content, tmp_path / "old.pkl"))
    sampling = {"max_num_frames": 64, "total_dists": [1, 2]}
    generator = {"sampling": sampling, "motion": {"distance": 64}}
    assert snapshot.config == {
        "model": {"generator": generator, "discriminator": {"sampling": sampling}},
        "sampling": sampling,
        "broken": "${nowhere.to}",
    }
    widths = {"channel_base": 655, "conv_clamp": None, "gain": 0.25}
    kwargs = {"w_dim": 20, "synthesis_kwargs": widths, "cfg": generator, "sizes": [1, 2]}
    assert snapshot.init_kwargs == {"G": kwargs, "D": {"c_dim": 0}}
    assert snapshot.sampling == {"fps": 30}
    assert snapshot.skipped == ("vis: not needed", "config.broken: ${nowhere.to} refers to nothing that is known")


def test_what_an_old_file_lacks_is_empty(old: OldSnapshot, tmp_path: Path) -> None:
    content = {name: old.content[name] for name in ("G", "D", "G_ema")}
    snapshot = read_snapshot(written(content, tmp_path / "old.pkl"))
    assert snapshot.optimizers == {} and snapshot.stats == {} and snapshot.training_set == {}
    assert snapshot.augment is None
    same = read_snapshot(written(content | dict.fromkeys(("G_opt", "stats", "augment_pipe")), tmp_path / "none.pkl"))
    assert same.optimizers == {} and same.stats == {} and same.augment is None


def test_networks_without_settings_have_none(stand_ins: StandIns, tmp_path: Path) -> None:
    content = dict.fromkeys(("G", "D", "G_ema"), stand_ins.module(buffers={"b": torch.arange(3)}))
    snapshot = read_snapshot(written(content, tmp_path / "bare.pkl"))
    assert snapshot.config is None and snapshot.init_kwargs == {"G": {}, "D": {}} and snapshot.sampling == {}
    assert "config: the networks carry no settings of the run" in snapshot.skipped
    assert torch.equal(snapshot.networks["G"]["b"], torch.arange(3))


@pytest.mark.parametrize("missing", [("G",), ("D",), ("G_ema",), ("G", "D", "G_ema")])
def test_a_file_without_a_network_is_refused(old: OldSnapshot, tmp_path: Path, missing: tuple[str, ...]) -> None:
    for value in ({}, dict.fromkeys(missing)):
        content = {key: item for key, item in old.content.items() if key not in missing} | value
        with pytest.raises(InputError, match=f"{', '.join(missing)} missing"):
            read_snapshot(written(content, tmp_path / "part.pkl"))


def test_the_embedded_program_text_is_nowhere_in_what_is_read(old: OldSnapshot, tmp_path: Path) -> None:
    path = written(old.content, tmp_path / "old.pkl")
    assert PROGRAM.encode() in path.read_bytes()
    before = set(tmp_path.iterdir())
    snapshot = read_snapshot(path)
    assert "unread" not in repr(snapshot) and "module_src" not in repr(snapshot)
    assert set(tmp_path.iterdir()) == before


def test_the_augmentation_keeps_its_probability_and_multipliers_only(
    stand_ins: StandIns, old: OldSnapshot, tmp_path: Path
) -> None:
    pipe = stand_ins.module(
        "AugmentPipe", buffers={"p": torch.tensor(0.25), "Hz_geom": torch.ones(3)}, xflip=1, bands=[1, 1], _private=3
    )
    snapshot = read_snapshot(written(old.content | {"augment_pipe": pipe}, tmp_path / "aug.pkl"))
    assert snapshot.augment == {"p": 0.25, "xflip": 1, "bands": [1, 1]}


def test_an_optimizer_of_other_parameters_is_left_unread_and_said_so(old: OldSnapshot, tmp_path: Path) -> None:
    content = old.content | {"D_opt": old.content["G_opt"]}
    snapshot = read_snapshot(written(content, tmp_path / "old.pkl"))
    assert set(snapshot.optimizers) == {"G_opt"}
    assert "D_opt: no Adam with one group of the 1 parameters of its network" in snapshot.skipped


def test_counters_that_are_no_counts_are_left_out(old: OldSnapshot, tmp_path: Path) -> None:
    stats = {"cur_nimg": 3, "cur_tick": -1, "batch_idx": "4"}
    snapshot = read_snapshot(written(old.content | {"stats": stats}, tmp_path / "old.pkl"))
    assert snapshot.stats == {"cur_nimg": 3}
    assert {"stats.cur_tick: no count", "stats.batch_idx: no count"} <= set(snapshot.skipped)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_all_binary_protocols_read_the_same(old: OldSnapshot, tmp_path: Path, protocol: int) -> None:
    content = {key: value for key, value in old.content.items() if key != "vis"}  # numpy's own form in protocol 5
    snapshot = read_snapshot(written(content, tmp_path / "old.pkl", protocol))
    assert torch.equal(snapshot.networks["G"]["synthesis.0.weight"], old.weight)
    assert snapshot.config["sampling"]["max_num_frames"] == 64


def test_related_programs_spell_the_same_names_without_the_first_folder(
    stand_ins: StandIns, old: OldSnapshot, tmp_path: Path
) -> None:
    stand_ins.persistent = stand_ins.function("torch_utils.persistence", "_reconstruct_persistent_obj")
    stand_ins.easy_dict = stand_ins.kind("dnnlib.util", "EasyDict", dict)
    path = written(OldSnapshot(stand_ins).content, tmp_path / "related.pkl")
    assert b"ctorch_utils.persistence\n" in path.read_bytes() and b"cdnnlib.util\n" in path.read_bytes()
    assert torch.equal(read_snapshot(path).networks["G"]["mapping.w_avg"], old.average)


def test_a_mapping_of_modules_may_be_plain_or_ordered(stand_ins: StandIns, tmp_path: Path) -> None:
    tensors = {"b": torch.arange(2), "a": torch.arange(3)}
    for kind in (dict, OrderedDict):
        module = stand_ins.module()
        module.call[1][0]["state"]["_buffers"] = kind(tensors)
        snapshot = read_snapshot(written(dict.fromkeys(("G", "D", "G_ema"), module), tmp_path / "kind.pkl"))
        assert list(snapshot.networks["D"]) == ["b", "a"]


def test_buffers_that_are_not_saved_are_not_read(stand_ins: StandIns, tmp_path: Path) -> None:
    module = stand_ins.module(
        buffers={"kept": torch.ones(2), "scratch": torch.ones(3), "none": None}, _non_persistent_buffers_set={"scratch"}
    )
    path = written(dict.fromkeys(("G", "D", "G_ema"), module), tmp_path / "buffers.pkl", protocol=4)
    assert list(read_snapshot(path).networks["G"]) == ["kept"]
