from __future__ import annotations

import torch

from stylegan_v.rendering import VideoLatents, draw_latents
from stylegan_v.sampling.latents import Chosen, Joined, Video, draw, matrix, mixed
from tests.stylegan_v.sampling.tiny import generator


def same(found: VideoLatents, expected: VideoLatents) -> None:
    torch.testing.assert_close(found.ws, expected.ws)
    assert torch.equal(found.motion.window(40, 5), expected.motion.window(40, 5))
    assert (found.c is None) == (expected.c is None)
    if found.c is not None:
        assert torch.equal(found.c, expected.c)


def test_videos_of_one_seed_are_those_of_rendering() -> None:
    made = generator()
    found = draw(made, [Video(5, 3), Video(5, 1)], truncation_psi=0.5)
    same(found, draw_latents(made, 5, [3, 1], truncation_psi=0.5))


def test_videos_of_several_seeds_stand_in_the_order_asked_for() -> None:
    made = generator(c_dim=3)
    videos = [Video(5, 3), Video(2, 0), Video(5, 1), Video(7, 0), Video(2, 4)]
    found = draw(made, videos)
    for i, video in enumerate(videos):
        alone = draw_latents(made, video.seed, [video.number])
        same(VideoLatents(found.ws[i : i + 1], Chosen(found.motion, [i]), found.c[i : i + 1]), alone)


def test_labels_stay_with_their_videos() -> None:
    made, c = generator(c_dim=3), torch.eye(3)[[2, 0, 1]]
    found = draw(made, [Video(5, 3), Video(2, 0), Video(5, 1)], c=c)
    assert torch.equal(found.c, c)
    torch.testing.assert_close(found.ws[1:2], draw_latents(made, 2, [0], c=c[1:2]).ws)
    torch.testing.assert_close(found.ws[2:], draw_latents(made, 5, [1], c=c[2:]).ws)


def test_motion_of_other_videos_and_seeds() -> None:
    made = generator()
    found = draw(made, [Video(5, 3)] * 2, [Video(5, 3), Video(6, 9)])
    torch.testing.assert_close(found.ws[0], found.ws[1])
    codes = found.motion.window(0, 3)
    assert torch.equal(codes[:1], draw_latents(made, 5, [3]).motion.window(0, 3))
    assert torch.equal(codes[1:], draw_latents(made, 6, [9]).motion.window(0, 3))


def test_noise_is_joined_and_chosen() -> None:
    made = generator()
    one, other = draw_latents(made, 0, [1, 2]).motion, draw_latents(made, 1, [5]).motion
    joined = Joined([one, other]).window(3, 4)
    assert torch.equal(joined, torch.cat([one.window(3, 4), other.window(3, 4)]))
    assert torch.equal(Chosen(Joined([one, other]), [2, 0, 0]).window(3, 4), joined[[2, 0, 0]])


def test_styles_are_mixed_layer_by_layer() -> None:
    ws, styles = torch.randn(2, 6, 4), torch.randn(2, 6, 4)
    found = mixed(ws, styles, [0, 5])
    assert torch.equal(found[:, [0, 5]], styles[:, [0, 5]]) and torch.equal(found[:, 1:5], ws[:, 1:5])


def test_a_matrix_has_its_parents_at_the_top_and_on_the_left() -> None:
    made = generator(c_dim=3)
    latents = draw_latents(made, 0, [8, 9, 1, 2])  # two columns, two rows
    found = matrix(latents, 2, [0, 1], parents=True)
    whose = [(0, 0), (1, 1), (2, 2), (2, 0), (2, 1), (3, 3), (3, 0), (3, 1)]  # content and styles
    codes = latents.motion.window(0, 3)
    assert len(found) == len(whose)
    for i, (content, style) in enumerate(whose):
        assert torch.equal(found.ws[i, :2], latents.ws[style, :2])
        assert torch.equal(found.ws[i, 2:], latents.ws[content, 2:])
        assert torch.equal(found.c[i], latents.c[content])
        assert torch.equal(found.motion.window(0, 3)[i], codes[content])


def test_a_matrix_without_parents() -> None:
    latents = draw_latents(generator(), 0, [8, 9, 1])
    found = matrix(latents, 2, [3], parents=False)
    assert len(found) == 2 and torch.equal(found.ws[:, 3], latents.ws[:2, 3])
    assert torch.equal(found.ws[:, 0], latents.ws[[2, 2], 0])
