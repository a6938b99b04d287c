"""Fields of videos against recordings of NVP, of its grids, and of the systems that it is measured against."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from fields.grid_geometry import corners, make_levels
from fields.grids import MultiResGrid
from fields.sparse_grid import SparseGrid3D
from tests.conformance.recordings import Recording, files

GRIDS = {"rtol": 0, "atol": 1e-4}  # fine levels amplify float32 rounding
CLOSE = {"rtol": 0, "atol": 1e-5}
GRADIENTS = {"rtol": 1e-4, "atol": 1e-5}


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


@pytest.mark.parametrize("backend", ["torch", "loop"])
@pytest.mark.parametrize("path", [*files("video_fields", "dense3d.params"), *files("video_fields", "hash3d.params")])
def test_grids(path: Path, backend: str) -> None:
    for case in cases(Recording(path)):
        grid = grid_of(case.about, backend)
        levels = grid.levels
        assert [level.offset for level in levels] + [len(grid.table)] == case["offsets"].tolist()
        assert [level.resolution[0] for level in levels] == case["resolutions"].tolist()
        assert [level.scale[0] for level in levels] == case["scales"].tolist()
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
        torch.testing.assert_close(gradient.reshape(-1), case["grad_params"], rtol=1e-4, atol=1e-4)
        case.assert_all_seen()


@pytest.mark.parametrize("path", files("video_fields", "official16.scales"))
def test_levels_of_the_published_keyframes(path: Path) -> None:
    data = Recording(path)
    scales = data["official16.scales"]
    levels = make_levels(2, len(scales), 16, 1.35)
    assert [level.scale[0] for level in levels] == scales.tolist()
    assert [level.resolution[0] for level in levels] == data["official16.resolutions"].tolist()
    assert [level.offset for level in levels] + [sum(level.size for level in levels)] == data[
        "official16.offsets"
    ].tolist()


@pytest.mark.parametrize("path", files("video_fields", "plain.embeddings"))
def test_sparse_grids(path: Path) -> None:
    for case in cases(Recording(path)):
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
        assert (~valid).sum() == about["interp_nan_rows"]
        torch.testing.assert_close(blended[valid], case["out_temporal_interp"][valid], **CLOSE)
        # Where the original has no number, on the last slice, ours is that slice.
        assert case["out_temporal_interp"][~valid].isnan().all()
        assert torch.equal(coords[~valid, 0], torch.ones(int((~valid).sum())))
        torch.testing.assert_close(blended[~valid], out[~valid], **exact)
        case.assert_all_seen()
