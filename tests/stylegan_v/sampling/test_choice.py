from __future__ import annotations

import pytest
import torch

from datasets.video_writer import tile
from errors import InputError
from generate_options import Several
from stylegan_v.sampling.choice import Choice, addresses, choose, of_seed, side_by_side
from stylegan_v.sampling.latents import Video


def test_the_first_videos_of_a_seed() -> None:
    assert choose(4, Several()) == Choice((Video(4, 0),), ("video_00000",), grid=False)
    choice = choose(4, Several(num_videos=2))
    assert choice.videos == (Video(4, 0), Video(4, 1)) and choice.names == ("video_00000", "video_00001")


def test_videos_by_number_and_by_seed() -> None:
    by_number = choose(4, Several(videos="7-8,0"))
    assert by_number.videos == (Video(4, 7), Video(4, 8), Video(4, 0)) and by_number.names[0] == "video_00007"
    by_seed = choose(4, Several(seeds="7-8,123456"))
    assert by_seed.videos == (Video(7, 0), Video(8, 0), Video(123456, 0)) and by_seed.names[2] == "seed_123456"


def test_a_grid_of_a_size_is_filled() -> None:
    choice = choose(0, Several(grid="2x3"))
    assert len(choice.videos) == 6 and choice.columns == 3 and choice.grid and choice.name == "grid"
    assert len(choose(0, Several(grid="2x3", num_videos=5)).videos) == 5
    assert choose(0, Several(grid=True, num_videos=5)).columns is None
    with pytest.raises(InputError, match="grid: 2x3 has no place for 7 videos"):
        choose(0, Several(grid="2x3", num_videos=7))


def test_each_video_has_a_file_of_its_own_name() -> None:
    choice = choose(0, Several(videos="3,5"))
    alone = choice.only(1)
    assert alone == Choice((Video(0, 5),), ("video_00005",), grid=False) and alone.name == "video_00005"
    moving = Choice(choice.videos, choice.names, False, motions=(Video(0, 1), Video(0, 2))).only(1)
    assert moving.motions == (Video(0, 2),)
    with pytest.raises(InputError, match="videos: a video is named twice"):
        choose(0, Several(videos="3,3"))
    assert len(choose(0, Several(videos="3,3", grid=True)).videos) == 2


def test_names_say_what_is_shown() -> None:
    choice = choose(0, Several(videos="3,5")).called("loop")
    assert choice.names == ("loop_of_video_00003", "loop_of_video_00005")
    assert choice.name == "loop_grid" and choice.only(1).name == "loop_of_video_00005"


def test_numbers_and_seeds_that_random_draws_would_confuse() -> None:
    with pytest.raises(InputError, match="seeds: 4294967296 is too large: give seeds from 0 to 4294967295"):
        choose(0, Several(seeds="4294967296"))
    with pytest.raises(InputError, match="contents: 4294967296 is too large"):
        of_seed(0, "4294967296", "contents")


def test_addresses_in_words() -> None:
    assert addresses(of_seed(3, "0,7-8", "videos")) == ["3:0", "3:7", "3:8"]


def test_videos_side_by_side() -> None:
    frames = torch.randint(0, 256, (3, 2, 3, 4, 5), dtype=torch.uint8)
    assert torch.equal(side_by_side(frames[:1]), frames[0])
    assert torch.equal(side_by_side(frames), tile(frames)) and side_by_side(frames, 3).shape == (2, 3, 4, 19)
