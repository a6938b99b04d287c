from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from errors import InputError
from stylegan_v.sampling import memory
from stylegan_v.sampling.memory import (
    Chunk,
    check_size,
    choose_chunk,
    choose_tile,
    frame_memory,
    free_memory,
)
from tests.stylegan_v.sampling.tiny import generator


class Renderer:
    """Draws its times, as long as no more than ``fitting`` are asked for at once."""

    def __init__(
        self, fitting: int, error: type[Exception] = torch.OutOfMemoryError, says: str = "out of memory"
    ) -> None:
        self.fitting, self.failure, self.chunks = fitting, error(says), []

    def __call__(self, t: torch.Tensor, chunk: int) -> Iterator[torch.Tensor]:
        for some in t.split(chunk):
            self.chunks.append(len(some))
            if len(some) > self.fitting:
                raise self.failure
            yield some.view(1, -1, 1, 1, 1).expand(2, -1, 3, 2, 2).to(torch.uint8)


def times(frames: Iterator[torch.Tensor]) -> list[int]:
    return torch.cat(list(frames), dim=1)[1, :, 2, 1, 1].tolist()


T = torch.arange(11, dtype=torch.float64)


def test_everything_fits() -> None:
    renderer, chunk = Renderer(4), Chunk(4)
    assert times(chunk.render(renderer, T)) == list(range(11))
    assert renderer.chunks == [4, 4, 3] and chunk.frames == 4


@pytest.mark.parametrize(
    "error, says",
    [(torch.OutOfMemoryError, "CUDA out of memory"), (RuntimeError, "DefaultCPUAllocator: can't allocate memory: you")],
)
def test_chunks_are_halved_until_they_fit_and_stay_so(
    error: type[Exception], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    renderer, chunk = Renderer(3, error, says), Chunk(16)
    assert times(chunk.render(renderer, T)) == list(range(11))
    assert chunk.frames == 2 and renderer.chunks[:4] == [11, 8, 4, 2]
    said = capsys.readouterr().err
    assert "chunk: out of memory: going on with 8 frames at once" in said and "with 2 frames" in said
    assert times(chunk.render(renderer, T)) == list(range(11)) and 4 not in renderer.chunks[4:]


def test_frames_that_were_given_out_are_not_drawn_again() -> None:
    class Filling(Renderer):
        def __call__(self, t: torch.Tensor, chunk: int) -> Iterator[torch.Tensor]:
            self.fitting = 100 if t[0] == 0 else 2  # memory runs out after the first chunk
            for i, some in enumerate(super().__call__(t, chunk)):
                yield some
                self.fitting = 2 if i == 0 else self.fitting

    renderer = Filling(100)
    assert times(Chunk(4).render(renderer, T)) == list(range(11))
    assert renderer.chunks == [4, 4, 2, 2, 2, 1]


def test_a_frame_that_does_not_fit_and_other_failures() -> None:
    with pytest.raises(InputError, match="chunk: a single frame does not fit"):
        times(Chunk(4).render(Renderer(0), T))
    with pytest.raises(RuntimeError, match="sizes differ"):
        times(Chunk(4).render(Renderer(2, RuntimeError, "sizes differ"), T))


@pytest.mark.parametrize("frames, expected", [(0.4, 1), (1, 1), (3.9, 2), (4, 4), (1e6, 16)])
def test_the_number_is_a_power_of_two_for_which_half_the_memory_is_enough(
    frames: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = generator()
    monkeypatch.setattr(memory, "free_memory", lambda device: int(2 * frames * frame_memory(made)) + 1)
    assert choose_chunk(made, "auto").frames == expected
    assert choose_chunk(made, 7).frames == 7


def test_larger_frames_take_more_memory() -> None:
    small, large = (frame_memory(generator(resolution=side)) for side in (16, (32, 64)))
    assert small == 8 * 4 * 8 * 16 * 16 and large == 8 * 4 * 2 * 32 * 64


def test_free_memory_of_this_machine_and_of_one_that_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    assert free_memory(torch.device("cpu")) > 2**20
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:       12 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    assert free_memory(torch.device("cpu")) == 12 * 1024
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "nothing")
    assert free_memory(torch.device("cpu")) == 2**31


@pytest.mark.gpu
def test_free_memory_of_a_gpu() -> None:
    assert 0 < free_memory(torch.device("cuda")) <= torch.cuda.get_device_properties(0).total_memory


@pytest.mark.parametrize(
    "free, shape, tile",
    [
        (2**40, (2048, 2048), None),  # as much as the largest tile
        (2**40, (2048, 2049), 2048),
        (2**40, (50_000, 4), None),
        (2**28, (2048, 2048), 1024),
        (2**20, (100, 100), 64),  # never smaller
    ],
)
def test_large_frames_are_drawn_in_tiles_that_memory_allows(
    free: int, shape: tuple[int, int], tile: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: free)
    assert choose_tile(shape, None, torch.device("cpu")) == tile
    assert choose_tile(shape, 33, torch.device("cpu")) == 33


def test_frames_that_the_machine_does_not_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda device: 24 * 1000 * 1000)
    check_size((1000, 1000), 1)
    with pytest.raises(InputError, match=r"^size: 1001x1000 for 1 videos side by side takes 0\.012 GB .* 0\.024 GB"):
        check_size((1000, 1001), 1)
    with pytest.raises(InputError, match="for 2 videos"):
        check_size((1000, 1000), 2)
