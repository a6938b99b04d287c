"""Choices of protocols."""

from __future__ import annotations

from stylegan_v.metrics.choices import ClipChoice, Frechet, Inception, Kernel, smallest


def test_length_of_a_clip() -> None:
    """The original asks for frames x stride, though the last frame lies before that."""
    clip = ClipChoice(16, 8)
    assert (clip.span, clip.required) == (121, 128)
    assert (ClipChoice(16).span, ClipChoice(16).required) == (16, 16)


def test_least_of_the_options_of_a_measure() -> None:
    """Each is 1 where it is the least that makes sense."""
    assert smallest(Frechet()) == {}
    assert smallest(Kernel(1, 2, 1.0, 2)) == {"num_subsets": 1, "subset_size": 1, "num_resamples": 1}
    assert smallest(Kernel())["num_subsets"] == 1
    assert smallest(Inception(1, 0)) == {"num_splits": 1, "shuffle_seed": 1}
