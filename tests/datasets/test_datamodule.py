from __future__ import annotations

import itertools
import json
import multiprocessing
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from pytorch_lightning import LightningModule, Trainer
from torch import Tensor

from datasets.datamodule import ClipDataModule, ImageFolder, SyntheticVideos, VideoFolder
from datasets.frame_sampling import HeavyTailed, RandomSpans
from datasets.synthetic import SpriteVideo
from datasets.video_writer import open_writer
from errors import InputError


def synthetic(**settings: object) -> SyntheticVideos:
    return SyntheticVideos(
        **{"num_videos": 5, "num_frames": 40, "resolution": 16, "batch_size": 4, "num_workers": 0, **settings}
    )


def batches(data: ClipDataModule, count: int) -> list[dict[str, Tensor]]:
    return list(itertools.islice(data.train_dataloader(), count))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def write_frames(folder: Path, lengths: dict[str, int], size: tuple[int, int] = (16, 24)) -> None:
    for name, length in lengths.items():
        (folder / name).mkdir(parents=True)
        for i, frame in enumerate(SpriteVideo(len(name), length, size).read(range(length))):
            Image.fromarray(frame.permute(1, 2, 0).numpy()).save(folder / name / f"{i}.png")


class Recorder(LightningModule):
    """Learns nothing; remembers the addresses of the clips it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.seen: list[tuple[int, list[int]]] = []
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.seen.append((int(batch["update"][0]), batch["n"].tolist()))
        self.optimizers().step()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(
    data: ClipDataModule,
    folder: Path,
    ckpt_path: Path | None = None,
    *,
    module: Recorder | None = None,
    **settings: object,
) -> tuple[list, Trainer]:
    module = module or Recorder()
    trainer = Trainer(
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"accelerator": "cpu", "use_distributed_sampler": False, **settings},
    )
    trainer.fit(module, datamodule=data, ckpt_path=ckpt_path)
    return module.seen, trainer


def test_a_batch_of_synthetic_videos() -> None:
    data = synthetic(resolution=(16, 32), batch_size=6, first_seed=100)
    data.setup("fit")
    (batch,) = batches(data, 1)
    assert {key: (value.dtype, tuple(value.shape)) for key, value in batch.items()} == {
        "clip": (torch.uint8, (6, 3, 3, 16, 32)),
        "t": (torch.int64, (6, 3)),
        "c": (torch.float32, (6, 0)),
        "n": (torch.int64, (6,)),
        "update": (torch.int64, (6,)),
    }
    assert batch["n"].tolist() == list(range(6)) and batch["update"].tolist() == [0] * 6
    seeds = [100 + data.clips().video_at(n) for n in range(6)]
    for seed, clip, t in zip(seeds, batch["clip"], batch["t"], strict=True):
        assert torch.equal(clip, SpriteVideo(seed, 40, (16, 32)).read(t.tolist()))


def test_what_a_set_up_module_says_of_itself() -> None:
    data = synthetic(num_frames=2000, frame_sampler=RandomSpans(max_num_frames=500), labelled=True)
    data.setup("fit")
    assert data.resolution == (16, 16)
    assert data.video_lengths.tolist() == [500] * 5 and data.video_lengths.dtype == np.int64
    assert data.c_dim == 4 and data.labels.dtype == np.float32
    assert data.labels.argmax(axis=1).tolist() == [SpriteVideo(seed, 1, (16, 16)).label for seed in range(5)]
    assert data.fps == 25.0


def test_workers_give_the_same_batches_in_the_same_order() -> None:
    alone, helped = synthetic(), synthetic(num_workers=2)
    for data in [alone, helped]:
        data.setup("fit")
    for first, second in zip(batches(alone, 5), batches(helped, 5), strict=True):
        assert same(first, second)


def test_the_ranks_together_show_what_one_process_would() -> None:
    whole = synthetic()
    whole.setup("fit")
    for rank in range(2):
        part = synthetic()
        part.setup("fit")
        part.sampler.rank, part.sampler.world_size = rank, 2
        for all_clips, own in zip(batches(whole, 3), batches(part, 3), strict=True):
            assert same({key: value[rank::2] for key, value in all_clips.items()}, own)


def test_the_position_is_part_of_the_state() -> None:
    data, resumed = synthetic(), synthetic()
    data.setup("fit")
    expected = batches(data, 8)[7]
    data.start_update = 7
    resumed.load_state_dict(data.state_dict())
    resumed.setup("fit")
    assert data.state_dict() == {"update": 7, "fps": 25.0}
    assert same(batches(resumed, 1)[0], expected)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_training_resumes_where_it_stopped(tmp_path: Path, num_workers: int) -> None:
    seen, trainer = fit(synthetic(num_workers=num_workers), tmp_path, max_steps=3)
    assert [update for update, _ in seen] == [0, 1, 2]
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    seen, _ = fit(synthetic(num_workers=num_workers), tmp_path, tmp_path / "last.ckpt", max_steps=6)
    assert [update for update, _ in seen] == [3, 4, 5]
    assert multiprocessing.active_children() == [], "no worker outlives training"


def test_short_epochs_go_on_with_the_data(tmp_path: Path) -> None:
    seen, _ = fit(synthetic(), tmp_path, limit_train_batches=2, max_epochs=3)
    assert [update for update, _ in seen] == [0, 1, 2, 3, 4, 5]


class RankRecorder(Recorder):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_train_end(self) -> None:
        (self.folder / f"{self.global_rank}.json").write_text(json.dumps(self.seen))


@pytest.mark.slow
@pytest.mark.parametrize("replace_sampler", [False, True])
def test_two_processes_share_the_batches(tmp_path: Path, replace_sampler: bool) -> None:
    """Also where Lightning is left to put samplers of its own into data loaders."""
    trainer = Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        devices=2,
        strategy="ddp_fork",
        max_steps=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        use_distributed_sampler=replace_sampler,
    )
    trainer.fit(RankRecorder(tmp_path), datamodule=synthetic())
    assert json.loads((tmp_path / "0.json").read_text()) == [[0, [0, 2]], [1, [0, 2]]]
    assert json.loads((tmp_path / "1.json").read_text()) == [[0, [1, 3]], [1, [1, 3]]]


def test_a_folder_of_frames(tmp_path: Path) -> None:
    write_frames(tmp_path / "data", {"a": 12, "b": 5, "short": 2})
    data = VideoFolder(tmp_path / "data", 16, RandomSpans(3), batch_size=2, num_workers=0, cache_dir=tmp_path / "cache")
    fit(data, tmp_path / "run", max_steps=1)
    assert data.video_lengths.tolist() == [12, 5]

    shown = batches(data, 4)
    expected = {"a": SpriteVideo(1, 12, (16, 24)), "b": SpriteVideo(1, 5, (16, 24))}
    for update, batch in enumerate(shown, start=data.start_update):
        for n in range(2):
            name = data.videos.index.videos[data.clips().video_at(update * 2 + n)].name
            frames = expected[name].read(batch["t"][n].tolist())
            assert torch.equal(batch["clip"][n], frames[:, :, :, 4:20])

    index = json.loads((tmp_path / "run" / "index.json").read_text())
    assert index["skipped"] == [{"name": "short", "reason": "too short: 2 of 3 frames"}]


def write_images(root: Path, names: list[str], size: tuple[int, int] = (16, 24)) -> dict[str, Tensor]:
    """Generated images and what is in them, by name."""
    images = {}
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        images[name] = SpriteVideo(seed, 1, size).read([0])[0]
        Image.fromarray(images[name].permute(1, 2, 0).numpy()).save(root / name)
    return images


def test_a_folder_of_images(tmp_path: Path) -> None:
    images = write_images(tmp_path / "data", ["a/10.png", "a/9.png", "b.png", "c/d/e.png"])
    (tmp_path / "data" / "broken.jpg").write_bytes(b"")
    data = ImageFolder(tmp_path / "data", 16, 2, num_workers=0, flip=True, cache_dir=tmp_path / "cache")
    fit(data, tmp_path / "run", max_steps=1)
    assert [image.name for image in data.videos.index.videos] == ["a/9.png", "a/10.png", "b.png", "c/d/e.png"]
    assert data.video_lengths.tolist() == [1] * 4 and data.frame_sampler.num_frames == 1

    mirrored = []
    for update, batch in enumerate(batches(data, 8), start=data.start_update):
        assert batch["clip"].shape == (2, 1, 3, 16, 16) and not batch["t"].any()
        for n in range(2):
            name = data.videos.index.videos[data.clips().video_at(update * 2 + n)].name
            image = images[name][:, :, 4:20]
            mirrored.append(torch.equal(batch["clip"][n, 0], image.flip(2)))
            assert mirrored[-1] or torch.equal(batch["clip"][n, 0], image)
    assert 2 < sum(mirrored) < 14

    index = json.loads((tmp_path / "run" / "index.json").read_text())
    assert index["skipped"] == [{"name": "broken.jpg", "reason": "empty: the file has 0 bytes"}]


def test_workers_share_a_zip_of_images(tmp_path: Path) -> None:
    images = write_images(tmp_path / "data", [f"{i:02d}/{j}.png" for i in range(3) for j in range(3)])
    labels = {"labels": [[name, i % 4] for i, name in enumerate(images)]}
    (tmp_path / "data" / "dataset.json").write_text(json.dumps(labels))
    shutil.make_archive(str(tmp_path / "data"), "zip", tmp_path / "data")
    alone, helped, unzipped = (
        ImageFolder(place, 16, 3, workers, random_crop=True, labels="json", cache_dir=tmp_path / "cache")
        for place, workers in [("data.zip", 0), ("data.zip", 2), ("data", 0)]
        for place in [tmp_path / place]
    )
    for data in [alone, helped, unzipped]:
        data.setup("fit")
    assert alone.labels.argmax(axis=1).tolist() == [i % 4 for i in range(9)]
    for first, *others in zip(batches(alone, 4), batches(helped, 4), batches(unzipped, 4), strict=True):
        assert all(same(first, other) for other in others)


def test_an_image_that_cannot_be_read_is_replaced_by_the_next(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path / "data", ["0.png", "1.png"])
    content = bytearray((tmp_path / "data" / "0.png").read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "data" / "0.png").write_bytes(content)
    data = ImageFolder(tmp_path / "data", 16, 4, num_workers=0, cache_dir=tmp_path / "cache")
    data.setup("fit")
    assert len(data.video_lengths) == 2
    (batch,) = batches(data, 1)
    assert len(batch["clip"].unique(dim=0)) == 1
    assert "is replaced by the next one" in caplog.text


class Watcher(Recorder):
    """Keeps the batches it is shown, as they are after the way to the device."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[dict[str, Tensor]] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        super().training_step(batch, batch_idx)
        self.batches.append(batch)


def jpeg_videos(root: Path, lengths: dict[str, int]) -> Path:
    write_frames(root, lengths, (24, 40))
    for file in sorted(root.rglob("*.png")):
        Image.open(file).save(file.with_suffix(".jpg"), quality=90)
        file.unlink()
    return root


@pytest.mark.parametrize("num_workers", [0, 2])
def test_clips_decoded_by_training_are_those_of_workers(tmp_path: Path, num_workers: int) -> None:
    """The whole way through a trainer, resumed halfway; the decoder is the workers' own."""
    root = jpeg_videos(tmp_path / "data", {"a": 9, "bb": 7, "ccc": 8})
    settings = {"batch_size": 4, "flip": True, "random_crop": True, "cache_dir": tmp_path / "cache"}
    expected = VideoFolder(root, 16, num_workers=0, **settings)
    expected.setup("fit")
    shown, last = [], None
    for steps in (2, 4):
        late = VideoFolder(root, 16, num_workers=num_workers, decode_on="host", **settings)
        seen, trainer = fit(late, tmp_path / "run", last, module=(watcher := Watcher()), max_steps=steps)
        shown, last = shown + watcher.batches, tmp_path / "last.ckpt"
        trainer.save_checkpoint(last)
    assert [int(batch["update"][0]) for batch in shown] == [0, 1, 2, 3] and len(seen) == 2
    assert all(same(first, second) for first, second in zip(batches(expected, 4), shown, strict=True))
    assert torch.equal(late.clips()[0, 1]["clip"], expected.clips()[0, 1]["clip"]), "others see frames as ever"


def test_images_are_decoded_by_training_as_well(tmp_path: Path) -> None:
    root = jpeg_videos(tmp_path / "data", {"a": 5})
    early, late = (
        ImageFolder(root, 16, 4, num_workers=0, decode_on=where, cache_dir=tmp_path / "cache")
        for where in ("worker", "host")
    )
    for data in (early, late):
        data.setup("fit")
    (expected,), (batch,) = batches(early, 1), batches(late, 1)
    assert same(expected, late.on_after_batch_transfer(batch, 0))


def test_decoding_that_cannot_work_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = {"cache_dir": tmp_path / "cache", "num_workers": 0, "batch_size": 1}
    root = jpeg_videos(tmp_path / "jpeg", {"a": 5})
    with pytest.raises(InputError, match="needs a CUDA device, training runs on cpu"):
        fit(VideoFolder(root, 16, decode_on="device", **cache), tmp_path)
    write_frames(tmp_path / "png", {"a": 5})
    with pytest.raises(InputError, match="holds a frame of kind PNG"):
        fit(VideoFolder(tmp_path / "png", 16, decode_on="host", **cache), tmp_path)
    (tmp_path / "raw").mkdir()
    np.save(tmp_path / "raw" / "v.npy", np.zeros((5, 3, 16, 16), np.uint8))
    with pytest.raises(InputError, match=r"data.decode_on: v is a store of raw frames"):
        fit(VideoFolder(tmp_path / "raw", 16, decode_on="host", **cache), tmp_path)
    with open_writer(tmp_path / "raw" / "w.mp4", 25.0) as writer:
        writer.write(SpriteVideo(0, 5, (16, 16)).read(range(5)))
    (tmp_path / "raw" / "v.npy").unlink()
    with pytest.raises(InputError, match=r"data.decode_on: w.mp4 is a video file"):
        fit(VideoFolder(tmp_path / "raw", 16, decode_on="host", **cache), tmp_path)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_frame_that_training_cannot_decode_ends_it_with_one_line(tmp_path: Path, num_workers: int) -> None:
    root = jpeg_videos(tmp_path / "data", {"a": 5})
    for file in sorted((root / "a").iterdir())[1:]:
        Image.open(file).save(file, "PNG")
    data = VideoFolder(root, 16, num_workers=num_workers, decode_on="host", cache_dir=tmp_path / "cache")
    data.setup("fit")
    with pytest.raises(InputError) as refusal:
        batches(data, 1)
    assert str(refusal.value) == f"{root / 'a'}: holds a frame of kind PNG, not JPEG; give data.decode_on: worker"


@pytest.mark.gpu
def test_a_gpu_decodes_the_clips_of_workers(tmp_path: Path) -> None:
    root = jpeg_videos(tmp_path / "data", {"a": 9, "bb": 7})
    settings = {"batch_size": 4, "flip": True, "num_workers": 2, "cache_dir": tmp_path / "cache"}
    early, late = (VideoFolder(root, 16, decode_on=where, **settings) for where in ("worker", "device"))
    early.setup("fit")
    fit(late, tmp_path / "run", module=(watcher := Watcher()), max_steps=2, accelerator="gpu", devices=1)
    for expected, batch in zip(batches(early, 2), watcher.batches, strict=True):
        assert batch["clip"].is_cuda and torch.equal(batch["t"].cpu(), expected["t"])
        difference = batch["clip"].cpu().float() - expected["clip"].float()
        assert difference.abs().mean() < 3, "these files keep colours at half the resolution"


def test_small_images_are_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_images(tmp_path / "data", ["0.png", "1.png"])
    ImageFolder(tmp_path / "data", 32, cache_dir=tmp_path / "cache").setup("fit")
    assert "2 images are smaller than the resolution and are enlarged" in caplog.text


def test_workers_read_video_files_that_the_parent_holds_open(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for seed in range(3):
        with open_writer(tmp_path / "data" / f"{seed}.mp4", 25.0) as writer:
            writer.write(SpriteVideo(seed, 30, (96, 128)).read(range(30)))
    alone, helped = (
        VideoFolder(tmp_path / "data", 64, batch_size=4, num_workers=workers, flip=True, cache_dir=tmp_path / "cache")
        for workers in [0, 2]
    )
    for data in [alone, helped]:
        data.setup("fit")
    for first, second in zip(batches(alone, 4), batches(helped, 4), strict=True):
        assert same(first, second)
    assert alone.fps == 25.0


def test_labels_of_a_folder(tmp_path: Path) -> None:
    write_frames(tmp_path / "data", {"a": 4, "b": 4, "c": 2})
    labels = [["a/0.png", 0], ["b/0.png", 1], ["c/0.png", 2]]
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"labels": labels}))
    data = VideoFolder(tmp_path / "data", 16, num_workers=0, labels="json", cache_dir=tmp_path / "cache")
    data.setup("fit")
    assert data.labels.tolist() == [[1, 0, 0], [0, 1, 0]], "the class of the short video still counts"
    assert data.c_dim == 3
    unconditional = VideoFolder(tmp_path / "data", 16, num_workers=0, cache_dir=tmp_path / "cache")
    unconditional.setup("fit")
    assert unconditional.c_dim == 0


def test_a_missing_label_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "data", {"a": 4, "b": 4})
    (tmp_path / "data" / "dataset.json").write_text(json.dumps({"labels": [["a/0.png", 0]]}))
    data = VideoFolder(tmp_path / "data", 16, labels="json", cache_dir=tmp_path / "cache")
    with pytest.raises(InputError, match="label"):
        data.setup("fit")


def test_a_clip_longer_than_every_video_is_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "data", {"a": 4, "b": 5})
    data = VideoFolder(tmp_path / "data", 16, RandomSpans(6), cache_dir=tmp_path / "cache")
    with pytest.raises(InputError, match=r"too short: 4 of 6 frames.* ask for fewer frames"):
        data.setup("fit")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(InputError, match="resolution"):
        synthetic(resolution=(15, 64))
    with pytest.raises(InputError, match="batch_size"):
        synthetic(batch_size=0)
    with pytest.raises(InputError, match="num_frames"):
        synthetic(num_frames=2)
    with pytest.raises(InputError, match="num_videos"):
        synthetic(num_videos=0)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    data = synthetic(batch_size=5)
    data.sampler.world_size = 2
    with pytest.raises(InputError, match="5 clips cannot be shared equally by 2 processes"):
        data.setup("fit")


def test_a_config_injects_sampler_and_scene() -> None:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ClipDataModule, "data")
    sampler = {"class_path": "datasets.frame_sampling.HeavyTailed", "init_args": {"num_frames": 4}}
    scene = {"class_path": "datasets.synthetic.SpriteVideo", "init_args": {"max_sprites": 1, "fps": 10.0}}
    arguments = {"num_videos": 2, "num_frames": 50, "resolution": [16, 32], "frame_sampler": sampler, "video": scene}
    config = {"data": {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": arguments}}
    data = parser.instantiate(parser.parse_object(config)).data
    data.setup("fit")
    assert isinstance(data.frame_sampler, HeavyTailed) and data.frame_sampler.num_frames == 4
    assert data.resolution == (16, 32) and data.fps == 10.0
    assert len(data.videos.open(0).sprites) == 1
