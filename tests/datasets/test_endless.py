from __future__ import annotations

from itertools import islice
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from datasets.endless import Batches, EndlessDataModule
from datasets.point_datamodule import SumOfSines
from datasets.radiance_datamodule import SphereScene
from datasets.signal_datamodule import SyntheticSignal
from errors import InputError

DATA = {
    "video": lambda: SyntheticSignal(num_frames=4, size=(8, 8), batch_size=12),
    "points": lambda: SumOfSines(num_points=50, batch_size=12),
    "scene": lambda: SphereScene(num_views=2, size=(8, 8), num_test_views=1, batch_size=12),
}


def ready(kind: str) -> EndlessDataModule:
    data = DATA[kind]()
    data.setup("fit")
    return data


def trainer(**facts: Any) -> SimpleNamespace:
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    return SimpleNamespace(**{"global_rank": 0, "world_size": 1, "training": True, "strategy": strategy, **facts})


@pytest.mark.parametrize("kind", DATA)
@pytest.mark.parametrize("ahead", [False, True])
def test_batches_begin_where_the_data_stand(kind: str, ahead: bool) -> None:
    data = ready(kind)
    data.load_state_dict({"update": 11})
    found = list(islice(Batches(data, 0, 1, ahead), 3))
    assert [batch["update"] for batch in found] == [11, 12, 13]
    for batch in found:
        again = data.part(batch["update"])
        assert all(torch.equal(batch[name], again[name]) for name in batch if name != "update")
    assert data.state_dict() == {"update": 11}


@pytest.mark.parametrize("kind", DATA)
def test_parts_of_processes_make_up_the_whole(kind: str) -> None:
    data = ready(kind)
    whole, parts = data.part(3), [data.part(3, rank, 3) for rank in range(3)]
    for name in set(whole) - {"update"}:
        assert torch.equal(torch.cat([part[name] for part in parts]), whole[name])


@pytest.mark.parametrize("kind", DATA)
def test_what_cannot_be_shared_is_refused(kind: str) -> None:
    data = ready(kind)
    data.trainer = trainer(world_size=5)
    with pytest.raises(InputError, match=r"data\.batch_size: 12 cannot be shared equally by 5 processes"):
        data.train_dataloader()


@pytest.mark.parametrize("kind", DATA)
def test_the_position_moves_with_what_is_used(kind: str) -> None:
    data = ready(kind)
    data.trainer = trainer(global_rank=1, world_size=2)
    batch = next(iter(data.train_dataloader()))
    assert data.state_dict() == {"update": 0}
    data.on_before_batch_transfer(batch, 0)
    assert data.state_dict() == {"update": 1}
    data.trainer = trainer(training=False)
    assert data.on_before_batch_transfer(0, 0) == 0 and data.state_dict() == {"update": 1}


def test_material_that_fits_no_device_stays_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    data = ready("video")
    monkeypatch.setattr("datasets.endless.available_memory", lambda device: 4 * data.num_bytes - 1)
    assert not data._fits(torch.device("cuda")) and data._fits(torch.device("cpu"))
    monkeypatch.setattr("datasets.endless.available_memory", lambda device: 4 * data.num_bytes)
    assert data._fits(torch.device("cuda"))
