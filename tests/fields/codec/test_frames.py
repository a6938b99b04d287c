from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fields.codec.coding import Settings, decode, encode
from fields.codec.frames import CodedVideo
from fields.coords import centres
from tests.fields.codec.small_videos import NODES, NVP, stored

HERE = Path("file")
LONG = {**NVP, "init_args": {**NVP["init_args"], "size": [10, 8, 8], "sparse_shape": [10, 3, 4]}}
T = centres(10)


@pytest.mark.parametrize("settings", [Settings(group=4), Settings(quality=80, crf=25.0, group=4)])
def test_a_frame_decodes_the_planes_once_and_one_group_of_slices(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    import fields.codec.opening as opening

    read, real = [], opening.read_pictures
    monkeypatch.setattr(opening, "read_pictures", lambda *given: read.append(given[1]) or real(*given))
    data = encode(stored(LONG), settings)
    whole = decode(data, HERE).render(T, (8, 8))
    read.clear()
    video = CodedVideo(data, HERE)
    assert len(read) == 3 * 2  # a level of a plane each
    for frame in (5, 6, 0, 9):
        read.clear()
        assert torch.equal(video.render(T[frame : frame + 1], (8, 8)), whole[frame : frame + 1])
        assert len(read) == (0 if frame == 6 else 2)  # a channel each
    assert video.decoded == {0, 1, 2}
    assert torch.equal(video.render(T, (8, 8)), whole)


@pytest.mark.parametrize("reach", [1, 3])
@pytest.mark.parametrize("group", [1, 3])
def test_frames_are_those_of_the_whole_with_neighbours_and_between_slices(reach: int, group: int) -> None:
    made = stored({**LONG, "init_args": {**LONG["init_args"], "neighbourhood": [reach, 3, 3]}})
    data = encode(made, Settings(group=group))
    whole = decode(data, HERE)
    for moment in torch.linspace(-1.1, 1.1, 12).split(1):
        for blend in (False, True):
            found = CodedVideo(data, HERE).render(moment, (8, 8), blend_time=blend)
            assert torch.equal(found, whole.render(moment, (8, 8), blend_time=blend))


@pytest.mark.parametrize(("name", "quantised"), [("nvp", False), ("siren", True), ("instant_ngp", True)])
def test_fields_without_groups_are_decoded_at_once(name: str, quantised: bool) -> None:
    data = encode(stored(NODES[name]), Settings(quantised=quantised))
    t = centres(5)[:2]
    assert torch.equal(CodedVideo(data, HERE).render(t, (8, 8)), decode(data, HERE).render(t, (8, 8)))
