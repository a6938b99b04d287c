"""Fields of videos against recordings of NVP, of its grids, and of the systems that it is measured against."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fields import official
from fields.coords import NVP_DECODER_TIME, NVP_GRIDS, centres, mesh, times
from fields.grid_geometry import corners, make_levels
from fields.grids import MultiResGrid
from fields.modulation import LatentModulator
from fields.nerv import NeRV, NeRVBlock, NeRVNetwork, encode_moments
from fields.nerv_training import nerv_loss, quantise_weights, rate_factor
from fields.quantisation import as_pictures, dequantise, from_pictures, quantise
from fields.siren import Siren
from fields.sparse_grid import SparseGrid3D
from tests.conformance.recordings import Recording, folder

# Files of the set, which have the same names wherever it was recorded, and cases of any names.
FILES = {
    "coordinates": "coords",
    "dense grids": "grid2d_dense",
    "hashed grids": "hashgrid",
    "sparse grids": "grid3d_sparse",
    "decoder": "modulated_decoder",
    "NVP": "nvp_full",
    "quantiser": "quantise",
    "SIREN": "siren",
    "FFN": "ffn",
    "NeRV": "nerv",
}
KINDS = ("weight", "bias")
GRIDS = {"rtol": 0, "atol": 1e-4}  # fine levels amplify float32 rounding
CLOSE = {"rtol": 0, "atol": 1e-5}
GRADIENTS = {"rtol": 1e-4, "atol": 1e-5}


def recordings(*names: str) -> list:
    """Parameters for pytest: files of the set with recordings of what `FILES` names; skipped by name where missing."""
    paths = [folder("video_fields") / f"{FILES[name]}.npz" for name in names]
    marks = [() if path.is_file() else pytest.mark.skip(reason=f"no file {path}") for path in paths]
    return [pytest.param(path, id=path.stem, marks=mark) for path, mark in zip(paths, marks, strict=True)]


class Case:
    """The entries ``<case>.<name>`` of a recording, which remembers what was looked at."""

    def __init__(self, data: Recording, name: str) -> None:
        self.data, self.name = data, name
        self.about = data.json("meta")[name]
        self.names = {key.removeprefix(f"{name}.") for key in data.keys if key.startswith(f"{name}.")}
        self.seen: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Tensor:
        self.seen.add(name)
        return self.data[f"{self.name}.{name}"]

    def under(self, prefix: str) -> dict[str, Tensor]:
        """Entries whose names begin with a prefix, by the rest of their names."""
        return {name.removeprefix(prefix): self[name] for name in sorted(self.names) if name.startswith(prefix)}

    def assert_all_seen(self) -> None:
        assert not self.names - self.seen


def cases(data: Recording) -> list[Case]:
    """The cases that a recording describes."""
    names = {key.partition(".")[0] for key in data.keys if "." in key}
    return [Case(data, name) for name in sorted(names) if isinstance(data.json("meta").get(name), dict)]


def assert_all_are_cases(data: Recording, besides: tuple[str, ...] = ()) -> None:
    """Every key belongs to a case, or to what is compared elsewhere."""
    others = {key.partition(".")[0] for key in data.keys} - {case.name for case in cases(data)}
    assert others <= {"meta", *besides}


def grid_of(about: dict, backend: str) -> MultiResGrid:
    return MultiResGrid(
        about["n_input_dims"],
        about["n_levels"],
        about["base_resolution"],
        about["per_level_scale"],
        about["n_features_per_level"],
        storage=about["type"].lower(),
        log2_table=min(about["log2_hashmap_size"], 30),
        align=about["param_alignment"],
        interpolation=about["interpolation"].lower(),
        backend=backend,
    )


def test_every_file_is_compared() -> None:
    assert {path.stem for path in folder("video_fields").glob("*.npz")} <= set(FILES.values())


@pytest.mark.parametrize("path", recordings("coordinates"))
def test_coordinates(path: Path) -> None:
    data = Recording(path)
    about = data.json("meta")
    frames, size = about["frames"], (about["height"], about["width"])
    finer = tuple(about["s_interp"] * n for n in size)
    more = about["t_interp"] * frames
    moments = times(frames)[:, None]
    between = NVP_GRIDS.of(times(more)[:, None], (more,))
    ours = {
        "mgrid": NVP_GRIDS.of(mesh(size), size).flatten(0, 1),
        "s_interp.mgrid": NVP_GRIDS.of(mesh(finer), finer).flatten(0, 1),
        "temporal_coords": NVP_GRIDS.of(moments, (frames,))[:, 0],
        "temporal_steps": NVP_DECODER_TIME.of(moments, (frames,))[:, 0],
        "t_interp.temporal_coords": between[:, 0],
        # Moments between frames are ours before they are the network's.
        "t_interp.temporal_steps": NVP_DECODER_TIME.of(NVP_GRIDS.back(between, (frames,)), (frames,))[:, 0],
    }
    assert ours.keys() | {"meta"} == data.keys
    for key, values in ours.items():
        torch.testing.assert_close(values, data[key], rtol=0, atol=3e-7)
    back = NVP_GRIDS.back(data["mgrid"], size)
    torch.testing.assert_close(back, mesh(size).flatten(0, 1), rtol=0, atol=3e-7)


@pytest.mark.parametrize("backend", ["torch", "loop"])
@pytest.mark.parametrize("path", recordings("dense grids", "hashed grids"))
def test_grids(path: Path, backend: str) -> None:
    data = Recording(path)
    assert_all_are_cases(data, ("official16",))
    for case in cases(data):
        grid = grid_of(case.about, backend)
        levels = grid.levels
        assert [level.offset for level in levels] + [len(grid.table)] == case["offsets"].tolist()
        assert [level.resolution[0] for level in levels] == case["resolutions"].tolist()
        # Powers of float32 differ from machine to machine in the last bit.
        assert [level.scale[0] for level in levels] == pytest.approx(case["scales"].tolist(), rel=3e-7)
        assert [level.hashed for level in levels] == case.about["level_uses_hash"]
        grid.load_flat(case["params"])
        assert torch.equal(grid.flat(), case["params"])
        coords, nearest = case["coords"], case.about["interpolation"] == "Nearest"
        # Corners are recorded with the weights of linear interpolation where the nearest is read.
        geometry = "linear" if nearest else grid.interpolation
        found = [corners(coords[: case["corner_index"].shape[1]], level, geometry) for level in levels]
        assert torch.equal(torch.stack([index for index, _ in found]), case["corner_index"])
        torch.testing.assert_close(torch.stack([weight for _, weight in found]), case["corner_weight"], **GRIDS)
        out = grid(coords)
        exact = {"rtol": 0, "atol": 0}
        torch.testing.assert_close(out, case["out"], **(exact if nearest else GRIDS))
        torch.testing.assert_close(out, case["out_tcnn_source"], **(exact if nearest else GRIDS))
        (gradient,) = torch.autograd.grad(out, grid.table, case["grad_out"])
        torch.testing.assert_close(gradient.reshape(-1), case["grad_params"], **GRADIENTS)
        case.assert_all_seen()


@pytest.mark.parametrize("path", recordings("dense grids"))
def test_levels_of_the_published_keyframes(path: Path) -> None:
    data = Recording(path)
    assert {key for key in data.keys if key.startswith("official16.")} == {
        f"official16.{name}" for name in ("scales", "resolutions", "offsets")
    }
    scales = data["official16.scales"]
    levels = make_levels(2, len(scales), 16, 1.35)
    assert [level.scale[0] for level in levels] == pytest.approx(scales.tolist(), rel=3e-7)
    assert [level.resolution[0] for level in levels] == data["official16.resolutions"].tolist()
    assert [level.offset for level in levels] + [sum(level.size for level in levels)] == data[
        "official16.offsets"
    ].tolist()


def blended_by_the_original(grid: SparseGrid3D, places: Tensor) -> tuple[Tensor, Tensor]:
    """What NVP's program makes between slices, and where that is sound.

    It has no number on the last slice, where both weights are 0. Just before a slice, where float32 rounds the position
    plus one up, it reads the slice after the next, and its weights, of which the second is divided by a sum that holds
    the first after it was divided, do not add up to 1. Ours is the slice itself at both.
    """
    count = grid.cells().shape[0]
    position = places[:, 0] * (count - 1)
    lower, upper = position.floor(), (position + 1).floor().clamp(max=count - 1)
    by_upper, by_lower = position - lower, upper - position
    by_upper = by_upper / (by_upper + by_lower)
    by_lower = by_lower / (by_upper + by_lower)
    at = [grid(torch.cat(((slices / (count - 1))[:, None], places[:, 1:]), dim=1)) for slices in (lower, upper)]
    return by_lower[:, None] * at[0] + by_upper[:, None] * at[1], upper - lower == 1


@pytest.mark.parametrize("path", recordings("sparse grids"))
def test_sparse_grids(path: Path) -> None:
    data = Recording(path)
    assert_all_are_cases(data)
    for case in cases(data):
        about = case.about
        grid = SparseGrid3D([about[axis] for axis in "txy"], about["d"], upsample=about["upsample"])
        low, high = about["init_range_seen"]
        assert -1e-4 <= grid.embeddings.min() < low + 1e-5 and high - 1e-5 < grid.embeddings.max() <= 1e-4
        grid.load_state_dict({"embeddings": case["embeddings"]})
        exact = {"rtol": 0, "atol": 1e-6 if about["upsample"] else 0}
        coords = case["coords_txy"]
        out = grid(coords)
        torch.testing.assert_close(out, case["out_nearest"], **exact)
        (gradient,) = torch.autograd.grad(out, grid.embeddings, case["grad_out"])
        torch.testing.assert_close(gradient, case["grad_embeddings"], **GRADIENTS)

        blended, valid = grid(coords, blend_time=True), case["interp_valid"]
        theirs, is_sound = blended_by_the_original(grid, coords)
        torch.testing.assert_close(theirs, case["out_temporal_interp"], **CLOSE, equal_nan=True)
        assert torch.equal(valid, ~theirs.isnan().any(dim=1))
        assert (~valid).sum() == about["interp_nan_rows"]
        torch.testing.assert_close(blended[is_sound], case["out_temporal_interp"][is_sound], **CLOSE)
        torch.testing.assert_close(blended[~is_sound], out[~is_sound], **CLOSE)
        case.assert_all_seen()


@pytest.mark.parametrize("path", recordings("NVP"))
def test_nvp(path: Path) -> None:
    data = Recording(path)
    assert_all_are_cases(data)
    for case in cases(data):
        before = case.under("before.")
        field = official.nvp(case.about, before)
        assert sum(parameter.numel() for parameter in field.parameters()) == case.about["n_params"]
        parts = (field.modulator, field.synthesiser)
        assert sum(one.numel() for part in parts for one in part.parameters()) == case.about["n_params_mlp"]
        for name, value in official.nvp_state(field).items():
            assert torch.equal(value, before[name])

        # The coordinates: ours of the elements become those that were recorded.
        size, time = field.size, case["temporal_steps"][:, None]
        index, places = case["index_txy"], case["coords_txy"]
        coords = torch.stack([centres(n)[index[:, axis]] for axis, n in enumerate(size)], dim=1)
        torch.testing.assert_close(NVP_GRIDS.of(coords, size), places, rtol=0, atol=3e-7)
        torch.testing.assert_close(NVP_DECODER_TIME.of(coords[:, :1], size[:1]), time, rtol=0, atol=3e-7)
        torch.testing.assert_close(case["rgb_uint8"].float() / 127.5 - 1, case["target"], rtol=0, atol=3e-7)

        features = field.encode(places)
        torch.testing.assert_close(features, case["embedding"], **CLOSE)
        torch.testing.assert_close(field.decode(features, time), case["out"], **CLOSE)
        torch.testing.assert_close(field(coords), case["out"], rtol=0, atol=1e-4)
        blended, recorded = field.decode(field.encode(places, blend_time=True), time), case["out_temporal_interp"]
        theirs, is_sound = blended_by_the_original(field.sparse, places)
        theirs = torch.cat((features[:, : -field.sparse.out_dim], theirs), dim=1)
        torch.testing.assert_close(field.decode(theirs, time), recorded, **CLOSE, equal_nan=True)
        torch.testing.assert_close(blended[is_sound], recorded[is_sound], **CLOSE)
        torch.testing.assert_close(blended[~is_sound], case["out"][~is_sound], **CLOSE)
        check_three_steps(case, field.train(), places, time)
        case.assert_all_seen()


def check_three_steps(case: Case, field: nn.Module, places: Tensor, time: Tensor) -> None:
    """The gradients at the first step, and losses, rates and tensors of three."""
    optimizer = torch.optim.AdamW(field.parameters(), lr=1e-2, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=1e-5)
    losses, rates = [], []
    for step in range(3):
        loss = (field.decode(field.encode(places), time) - case["target"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            grads = {name: parameter.grad for name, parameter in field.named_parameters()}
            for name, recorded in case.under("grad.").items():
                ours = grads[official.nvp_name(name)].reshape(recorded.shape)
                torch.testing.assert_close(ours, recorded, **GRADIENTS)
        losses.append(loss.item())
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    torch.testing.assert_close(torch.tensor(losses, dtype=torch.float64), case["losses"], rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.tensor(rates, dtype=torch.float64), case["lrs"], rtol=1e-9, atol=0)
    # Where a gradient is of the size of its rounding, the first steps of Adam may have either sign.
    state, wrong, count = official.nvp_state(field), 0, 0
    for name, recorded in case.under("after3.").items():
        wrong += int(((state[name] - recorded).abs() > 2e-4).sum())
        count += recorded.numel()
    assert wrong <= count / 1000


@pytest.mark.parametrize("path", recordings("quantiser"))
def test_quantised_grids(path: Path) -> None:
    data = Recording(path)
    about, offsets, resolutions = data.json("meta"), data["keyframes.offsets"], data["keyframes.resolutions"]
    seen = {"meta", "keyframes.offsets", "keyframes.resolutions"}

    def compare(ours: Tensor, key: str) -> None:
        seen.add(key)
        if ours.dtype == torch.uint8:
            difference = (ours.int() - data[key].int()).abs()
            assert difference.max() <= 1 and (difference > 0).sum() <= difference.numel() / 1000
        else:
            torch.testing.assert_close(ours, data[key], rtol=0, atol=1e-6)

    seen.add("keyframes.params")
    tables = data["keyframes.params"].reshape(-1, about["channels"]).split(offsets.diff().tolist())
    assert len(tables) == about["n_levels"]
    levels = [quantise(table) for table in tables]
    for number, (table, resolution) in enumerate(zip(levels, resolutions.tolist(), strict=True)):
        pictures = as_pictures(table[0], (resolution, resolution))
        assert torch.equal(from_pictures(pictures), table[0])
        for channel, picture in enumerate(pictures):
            compare(picture, f"keyframes.image.dim{channel}.level{number}")
    compare(torch.cat([dequantise(*level) for level in levels]).reshape(-1), "keyframes.dequantised")
    for end, key in ((1, "keyframes.min"), (2, "keyframes.max")):
        compare(torch.stack([level[end] for level in levels], dim=1), key)

    seen.add("sparse.embeddings")
    volume = quantise(data["sparse.embeddings"])
    for channel in range(volume[0].shape[-1]):
        compare(volume[0][..., channel], f"sparse.video.dim{channel}")
    compare(dequantise(*volume), "sparse.dequantised")
    compare(volume[1], "sparse.min")
    compare(volume[2], "sparse.max")
    assert seen == data.keys


@pytest.mark.parametrize("path", recordings("NeRV"))
def test_nerv(path: Path) -> None:
    data = Recording(path)
    seen = {"meta"}
    for case in cases(data):
        if case.name.startswith("block_"):
            about = case.about
            block = NeRVBlock(about["ngf"], about["new_ngf"], about["stride"], about["act"])
            block.load_state_dict({name.removeprefix("conv."): value for name, value in case.under("w.").items()})
            torch.testing.assert_close(block(case["x"]), case["out"], **CLOSE)
        elif "embed" in case:
            network = official.nerv(case.about, case.under("w."))
            moments = encode_moments(case["t"], network.base, network.num_octaves)
            torch.testing.assert_close(moments, case["embed"], **CLOSE)
            outs = network(case["t"])
            for number, out in enumerate(outs):
                torch.testing.assert_close(out, case[f"out{number}"], **CLOSE)
        else:
            continue
        case.assert_all_seen()
        seen |= {f"{case.name}.{name}" for name in case.names}
    seen |= check_nerv_losses(data) | check_nerv_quantiser(data) | check_nerv_rates(data)
    assert seen == data.keys


def check_nerv_losses(data: Recording) -> set[str]:
    result, target = data["loss.pred"], data["loss.target"]
    ours = {
        "L1": (result - target).abs().mean(),
        "L2": (result - target).square().mean(),
        "Fusion6": nerv_loss(result, target),
        "Fusion9": nerv_loss(result, target, 0.9),
    }
    for name, value in ours.items():
        torch.testing.assert_close(value, data[f"loss.{name}"], **CLOSE)
    return {"loss.pred", "loss.target", *(f"loss.{name}" for name in ours)}


def check_nerv_quantiser(data: Recording) -> set[str]:
    keys = {key for key in data.keys if key.startswith("quant.axis")}
    for key in keys:
        _, axis, bits, kind = key.split(".")
        number = int(axis.removeprefix("axis"))
        steps, values = quantise_weights(data["quant.t"], int(bits.removeprefix("bit")), None if number < 0 else number)
        torch.testing.assert_close(steps if kind == "q" else values, data[key], rtol=0, atol=1e-6)
    return keys | {"quant.t"}


def check_nerv_rates(data: Recording) -> set[str]:
    about, recorded = data.json("meta")["lr"], data["lr.values"]
    count = about["iters_per_epoch"]
    epochs = [[epoch + i / count for i in range(count)] for epoch in range(about["epochs"])]
    ours = [[about["lr"] * rate_factor(e, about["epochs"], about["warmup_epochs"]) for e in row] for row in epochs]
    torch.testing.assert_close(torch.tensor(ours, dtype=torch.float64), recorded, rtol=1e-6, atol=1e-12)
    return {"lr.values"}


@pytest.mark.parametrize("path", recordings("NeRV"))
def test_parameter_counts_of_the_published_nervs(path: Path) -> None:
    for name, recorded in Recording(path).json("meta")["param_counts"].items():
        channels = {"NeRV-S bunny": 26, "NeRV-M bunny": 58, "NeRV-L bunny": 112}[name]
        with torch.device("meta"):
            field = NeRV((132, 720, 1280), NeRVNetwork(fc_dim=channels))
        assert sum(parameter.numel() for parameter in field.parameters()) == recorded


def assert_starts_like(made: list[dict[str, Tensor]], recorded: dict[str, dict[str, float]]) -> None:
    """Smallest, largest and spread of starting values over several seeds; of fewer numbers these vary more."""
    assert recorded
    for name, expected in recorded.items():
        values = torch.stack([one[name].detach().flatten() for one in made])
        ours = {"min": values.min(), "max": values.max(), "mean_std": values.std(dim=1).mean()}
        allowed = {"min": 0.15, "max": 0.15, "mean_std": max(0.01, 4 / values.numel() ** 0.5)}
        for key, value in expected.items():
            assert float(ours[key]) == pytest.approx(value, rel=allowed[key]), (name, key)


def statistics_of(data: Recording) -> tuple[dict[str, dict[str, float]], int]:
    """The recorded statistics of starting values, and how many seeds they are of."""
    ((name, recorded),) = [item for item in data.json("meta").items() if item[0].startswith("init_stats")]
    return recorded, int(name.split("_")[-2])


@pytest.mark.parametrize("path", recordings("SIREN"))
def test_starting_values_of_siren(path: Path) -> None:
    data = Recording(path)
    recorded, seeds = statistics_of(data)
    made = []
    for _ in range(seeds):
        siren = Siren(3, 3, (256,) * 4)
        layers = enumerate([*siren.layers, siren.last])
        made.append({f"net.net.{k}.0.{kind}": getattr(layer, kind) for k, layer in layers for kind in KINDS})
    assert_starts_like(made, recorded)

    # The spread of the input, and before and after each layer's sine.
    x = torch.rand(5000, 3) * 2 - 1
    spreads = [float(x.std())]
    for layer in siren.requires_grad_(False).layers:
        before = nn.functional.linear(x, layer.weight, layer.bias)
        x = layer(x)
        spreads += [float(before.std()), float(x.std())]
    recorded_spreads = data.json("meta")["activation_std_input_then_pre_post_per_layer"]
    assert spreads == pytest.approx(recorded_spreads[: len(spreads)], rel=0.2)
    assert float(siren.last(x).std()) == pytest.approx(recorded_spreads[len(spreads)], rel=0.3)


@pytest.mark.parametrize("path", recordings("decoder"))
def test_starting_values_of_the_decoder_of_nvp(path: Path) -> None:
    recorded, seeds = statistics_of(Recording(path))
    made = []
    for _ in range(seeds):
        modulator = LatentModulator(114, (128,) * 3)
        siren = Siren(1, 3, (128,) * 3, 30.0, 1.0, bias_like_weights=True)
        named = {f"net.layers.{k}": layer for k, layer in enumerate(siren.layers)} | {"net.last_layer": siren.last}
        named |= {f"modulator.layers.{k}.0": layer for k, layer in enumerate(modulator.layers)}
        made.append({f"{name}.{kind}": getattr(layer, kind) for name, layer in named.items() for kind in KINDS})
    assert made[0].keys() == recorded.keys()
    assert_starts_like(made, recorded)


@pytest.mark.parametrize("path", recordings("decoder"))
def test_decoders(path: Path) -> None:
    data = Recording(path)
    assert_all_are_cases(data)
    for case in cases(data):
        about, weights = case.about, case.under("w.")
        hidden = (about["hidden"],) * about["num_layers"]
        modulator = LatentModulator(about["latent_dim"], hidden)
        named = [(k, kind) for k in range(len(hidden)) for kind in KINDS]
        modulator.load_state_dict(
            {f"layers.{k}.{kind}": weights[f"modulator.layers.{k}.0.{kind}"] for k, kind in named}
        )
        siren = Siren(1, 3, hidden, about["w0_initial"], about["w0"], bias_like_weights=True)
        last = {f"last.{kind}": weights[f"net.last_layer.{kind}"] for kind in KINDS}
        siren.load_state_dict({f"layers.{k}.{kind}": weights[f"net.layers.{k}.{kind}"] for k, kind in named} | last)
        latent = case["latent"].requires_grad_()
        factors = modulator(latent)
        for k, factor in enumerate(factors):
            torch.testing.assert_close(factor, case[f"mod{k}"], **CLOSE)
        out = siren(case["time"], factors)
        torch.testing.assert_close(out, case["out"], **CLOSE)
        (gradient,) = torch.autograd.grad(out, latent, case["grad_out"])
        torch.testing.assert_close(gradient, case["grad_latent"], **GRADIENTS)
        case.assert_all_seen()


@pytest.mark.parametrize("path", recordings("SIREN"))
def test_siren_and_its_rectified_rival(path: Path) -> None:
    data = Recording(path)
    assert_all_are_cases(data)
    for case in cases(data):
        if "coords" not in case:
            continue
        network = official.siren(case.about, case.under("w."))
        coords = case["coords"].requires_grad_()
        out = network(coords)
        torch.testing.assert_close(out, case["out"], **CLOSE)
        (gradient,) = torch.autograd.grad(out.sum(), coords)
        # The encoding's fastest waves multiply rounding of the coordinates by their frequency.
        allowed = 1e-5 if case.about["type"] == "sine" else 1e-3
        torch.testing.assert_close(gradient, case["grad_sum_out_wrt_coords"], rtol=1e-4, atol=allowed)
        case.assert_all_seen()


@pytest.mark.parametrize("path", recordings("FFN"))
def test_ffn(path: Path) -> None:
    data = Recording(path)
    assert_all_are_cases(data)
    for case in cases(data):
        names = {"B", *(f"{kind}{k}" for k in range(case.about["layers"]) for kind in "wb")}
        network = official.ffn(case.about, {name: case[name] for name in sorted(names)})
        torch.testing.assert_close(network.encoding(case["coords"]), case["features"], **CLOSE)
        torch.testing.assert_close(network(case["coords"]), case["out"], **CLOSE)
        case.assert_all_seen()
