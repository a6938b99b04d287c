from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from stylegan_v.metrics.motion.__main__ import main
from tests.stylegan_v.metrics.motion.test_comparison import write_run, write_videos


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def test_tiny_generator_beside_a_folder_of_tiny_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, videos = write_run(tmp_path / "run"), write_videos(tmp_path / "videos", 3, 90, period=25)
    args = ["--fake", str(run), "--real", str(videos), "--num_videos", "2", "--num_frames", "80", "--seed", "3"]
    main([*args, "--out", str(tmp_path / "out")])
    printed = capsys.readouterr().out
    assert printed.startswith(f"Motion of 2 videos of 80 frames at 16x16: {run} beside {videos}\n")
    report = json.loads((tmp_path / "out" / "motion.json").read_text())
    for row in report["figures"].values():
        assert row["title"] in printed
    assert report["figures"]["looping"]["real"]["value"] == 1
    assert report["protocol"]["seed"] == 3 and report["protocol"]["distance"] == 8
    assert "the period is 25.0 frames" in printed
    with Image.open(tmp_path / "out" / "motion.png") as picture:
        assert picture.format == "PNG" and len(report["curves"]) == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["motion.json", "motion.png"]


@pytest.mark.parametrize(
    "args, says",
    [
        (["--fake", "nowhere"], "nowhere: no such folder or file"),
        (["--fake", "VIDEOS"], "need --real"),
        (["--fake", "VIDEOS", "--real", "nowhere", "--num_frames", "16"], "nowhere: no such folder or file"),
        (["--fake", "VIDEOS", "--real", "VIDEOS"], "no video has 256 frames: give --num_frames, at most 20"),
        (["--fake", "RUN", "--real", "VIDEOS", "--num_videos", "1"], "num_videos"),
        (["--fake", "RUN", "--num_frames", "-5"], "num_frames"),
        (["--fake", "RUN", "--chunk", "0"], "chunk"),
        (["--fake", "RUN", "--seed", "-1"], "seed: -1"),
        (["--fake", "RUN", "--distance", "nan"], "distance: "),
        (["--fake", "RUN", "--distance", "0"], "distance: 0"),
        (["--fake", "RUN", "--start", "-1"], "start: -1"),
        (["--fake", "RUN", "--start", "inf"], "start: "),
        (["--fake", "RUN", "--start", "1e17"], "start: 1e+17: give a time from 0"),
        (["--fake", "RUN", "--device", "tpu"], "device"),
        (["--fake", "RUN", "--out", "RUN/config.yaml", "--num_frames", "16"], "a file stands where a folder is needed"),
        (["--fake", "RUN", "--frames", "16"], "frames: no such option"),
        ([], "fake"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str) -> None:
    run, videos = write_run(tmp_path / "run"), write_videos(tmp_path / "videos", 2, 20, period=9)
    args = [arg.replace("RUN", str(run)).replace("VIDEOS", str(videos)) for arg in args]
    with pytest.raises(SystemExit) as exit_:
        main(args if "--out" in args else [*args, "--out", str(tmp_path / "out")])
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(lines) == 1 and lines[0].startswith("motion: error: ") and says in lines[0]
    assert not (tmp_path / "out" / "motion.json").exists()


def test_failed_write_leaves_the_old_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = str(write_videos(tmp_path / "videos", 2, 20, period=9))
    args = [
        "--fake",
        videos,
        "--real",
        videos,
        "--num_videos",
        "2",
        "--num_frames",
        "16",
        "--out",
        str(tmp_path / "out"),
    ]
    main(args)
    before = (tmp_path / "out" / "motion.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SystemExit) as exit_:
        main([*args, "--seed", "1"])
    assert exit_.value.code == 2
    assert (tmp_path / "out" / "motion.json").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["motion.json", "motion.png"]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom stylegan_v.metrics.motion.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('kornia', 'pytorch_lightning', 'stylegan_v.networks') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--num_frames" in done.stdout and done.stdout.rstrip().endswith("[]")
