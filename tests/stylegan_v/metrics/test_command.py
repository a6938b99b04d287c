"""The command of the metrics: what it opens, prints, keeps and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from datasets.datamodule import SyntheticVideos
from stylegan_v.metrics import command
from stylegan_v.metrics.__main__ import main
from stylegan_v.metrics.detectors.table import load_detector
from stylegan_v.metrics.protocols import read_protocol
from stylegan_v.metrics.results import read_lines
from tests.generate_runs import make_run
from tests.stylegan_v.metrics.coded_videos import MANY, Stub, write_videos, zipped
from tests.stylegan_v.metrics.test_several_processes import by_ranks

ROOT = Path(__file__).parents[3]
SMALL = ("--num_fake", "5", "--num_draws", "2", "--device", "cpu")


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> list[Stub]:
    """Networks that were asked for; random_3d and inception are there, the others are missing as they would be."""
    made: list[Stub] = []

    def load(name: str, path: Any = None, cache_dir: Any = None, device: Any = "cpu") -> Any:
        if name not in ("random_3d", "inception"):
            return load_detector(name, path, cache_dir, device)
        made.append(Stub("frame" if name == "inception" else "clip", dim=3))
        return made[-1]

    monkeypatch.setattr(command, "load_detector", load)
    return made


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    return write_videos(tmp_path / "videos", MANY)


def refusal(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    """What the command says before it exits with code 2: one line."""
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    assert exit_.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("metrics: ")]
    assert len(lines) == 1
    return lines[0]


def run(*args: object) -> list[dict[str, Any]]:
    main([str(arg) for arg in args])
    return read_lines(Path("metrics.jsonl"))


def test_generator_of_a_run_against_videos(
    tmp_path: Path, videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_run(tmp_path / "run")
    args = ("--real", videos, "--fake", made, "--protocol", "fvd_16f", "--detector", "random_3d", *SMALL)
    (first,) = run(*args)
    output = capsys.readouterr()
    assert output.out.startswith("fvd_16f[detector=random_3d,fake.num=5,num_draws=2]: ") and "frozen" in output.out
    assert "frame/s" not in output.err, "a progress bar, and no terminal to show it on"
    assert (first["fake"], first["data"], first["num_fake"]) == (str(made / "last.ckpt"), str(videos), 5)
    assert len(first["fake_hash"]) == 64 and first["skipped"] == {"real": 2}
    with Image.open("metrics.fvd_16f.late.png") as picture:
        assert picture.format == "PNG"

    first_again, second = run(*args)
    assert first_again == first and second["cached"] and not first["cached"], "one line more"
    assert {**second, "seconds": 0, "cached": False} == {**first, "seconds": 0}
    assert "from the cache" in capsys.readouterr().out


@pytest.mark.parametrize("packed", [False, True])
def test_any_two_data_sets(tmp_path: Path, videos: Path, stubs: list[Stub], packed: bool) -> None:
    other = write_videos(tmp_path / "other", [16] * 7)
    args = ("--fake", zipped(other) if packed else other, "--protocol", "styleganv_fid50k_full", *SMALL)
    (record,) = run("--real", videos, *args)
    assert (record["num_real"], record["num_fake"], record["late"]) == (sum(MANY), 5, None)
    assert record["fake_hash"] not in (None, record["manifest_hash"])


def test_missing_network_costs_only_its_protocols(
    tmp_path: Path, videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--real", videos, "--fake", videos, "--protocol", "styleganv_fvd2048_16f,styleganv_fid50k_full", *SMALL)
    line = refusal(capsys, *args)
    assert line.startswith("metrics: styleganv_fvd2048_16f[fake.num=5,num_draws=2]: left out: ")
    assert "i3d_torchscript.pt" in line and "http" in line and str(tmp_path / "caches") in line
    (record,) = read_lines(Path("metrics.jsonl"))
    assert record["protocol"].startswith("styleganv_fid50k_full")


def test_missing_network_is_one_line(videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(capsys, "--real", videos, "--fake", videos, "--protocol", "fvd_16f", *SMALL)
    assert line.startswith("metrics: error: ") and "i3d_torchscript.pt" in line
    assert not Path("metrics.jsonl").exists()


def test_part_of_the_data(videos: Path, stubs: list[Stub]) -> None:
    shared = ("--real", videos, "--fake", videos, "--protocol", "styleganv_fvd2048_16f", "--detector", "random_3d")
    for part in ("all", "validation", "test"):
        records = run(*shared, *SMALL, "--part", part)
    assert [record["part"] for record in records] == ["all", "validation", "test"]
    real = [record["num_real"] + record["skipped"]["real"] for record in records]
    assert real == [12, 6, 6] and len({record["manifest_hash"] for record in records}) == 3


def test_data_of_the_run_are_the_reference(tmp_path: Path, stubs: list[Stub]) -> None:
    """They are what is named in its config; of rendered videos, ones that training did not see."""
    made = make_run(tmp_path / "run")
    settings = {"num_videos": 3, "num_frames": 20, "resolution": 16}
    config = {"data": {"class_path": "datasets.datamodule.SyntheticVideos", "init_args": settings}}
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(config))
    args = ("--fake", made, "--protocol", "styleganv_fvd2048_16f", "--detector", "random_3d", "--num_real", 6, *SMALL)
    (record,) = run("--real", tmp_path / "data.yaml", *args)
    assert record["data"] == SyntheticVideos.__name__ and record["num_real"] == 6
    assert "real.max_num=6" in record["protocol"]


def test_own_protocol(tmp_path: Path, videos: Path, stubs: list[Stub]) -> None:
    text = (ROOT / "configs" / "metrics" / "styleganv_fvd2048_16f.yaml").read_text()
    (tmp_path / "short.yaml").write_text(text.replace("num_frames: 16", "num_frames: 3").replace("i3d", "random_3d"))
    (record,) = run("--real", videos, "--fake", videos, "--protocol", tmp_path / "short.yaml", *SMALL)
    assert record["protocol"] == "short[fake.num=5,num_draws=2]" and record["num_real"] == 12
    assert stubs[0].clips[0].shape[1] == 3


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--fake", "nowhere", "--protocol", "fid", "--real", "VIDEOS"], "nowhere: there is nothing"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "nowhere"], "nowhere: there is nothing"),
        (["--fake", "VIDEOS", "--protocol", "fid"], "give --real"),
        (["--fake", "VIDEOS", "--protocol", "fud_16f", "--real", "VIDEOS"], "no fud_16f: give a YAML file, or one of"),
        (["--fake", "VIDEOS", "--protocol", "fid,", "--real", "VIDEOS"], "protocol: no "),
        (["--fake", "VIDEOS", "--real", "VIDEOS"], "protocol"),
        (["--protocol", "fid", "--real", "VIDEOS"], "fake"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--part", "train"], "part"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--num_fake", "0"], "fake.num: too small"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--num_draws", "x"], "num_draws"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--batch_frames", "0"], "batch_frames: 0"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--detector", "none"], "no such network"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--out", "VIDEOS"], "is a folder"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--out", "VIDEOS/v1/1.png/x"],
         "a file stands where a folder is needed"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "VIDEOS", "--out", "/proc/none/x"],
         "none cannot be made"),
        (["--fake", "VIDEOS", "--protocol", "styleganv_fvd2048_128f", "--detector", "random_3d", "--real", "VIDEOS"],
         "no video has 128 frames (12 are shorter)"),
        (["--fake", "VIDEOS", "--protocol", "fid,fvd_16f", "--detector_path", "x.pt", "--real", "VIDEOS"],
         "detector_path: the protocols have several"),
        (["--fake", "VIDEOS", "--protocols", "fid", "--real", "VIDEOS"], "protocols: no such option"),
        (["--fake", "VIDEOS", "--proto", "fid", "--real", "VIDEOS"], "proto: no such option"),
        (["--fake", "VIDEOS", "--protocol", "fid", "--real", "EMPTY"], "EMPTY"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    tmp_path: Path, videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str], args: list[str], says: str
) -> None:
    (tmp_path / "EMPTY").mkdir()
    line = refusal(capsys, *(arg.replace("VIDEOS", str(videos)) for arg in args))
    assert line.startswith("metrics: error: ") and says in line and len(line) < 600
    assert not any(stub.clips for stub in stubs) and not Path("metrics.jsonl").exists()


def test_result_is_shown_even_when_it_cannot_be_kept(
    videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, record: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(command, "append_line", full)
    with pytest.raises(SystemExit):
        main(["--real", str(videos), "--fake", str(videos), "--protocol", "styleganv_fid50k_full", *SMALL])
    output = capsys.readouterr()
    assert output.out.startswith("styleganv_fid50k_full[") and "the disk is full" in output.err


def test_interruption_keeps_what_was_shown(
    videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str, *args: Any, **options: Any) -> Any:
        if name == "i3d":
            raise KeyboardInterrupt
        return Stub("frame", dim=3)

    monkeypatch.setattr(command, "load_detector", load)
    args = ("--real", videos, "--fake", videos, "--protocol", "styleganv_fid50k_full,fvd_16f", *SMALL)
    with pytest.raises(SystemExit) as exit_:
        main([str(arg) for arg in args])
    assert exit_.value.code == 130 and capsys.readouterr().err.endswith("metrics: stopped; what was shown is kept\n")
    (record,) = read_lines(Path("metrics.jsonl"))
    assert record["protocol"].startswith("styleganv_fid50k_full")


@pytest.mark.parametrize(("c_dim", "says"), [(0, False), (3, True)])
def test_missing_labels_are_said(
    tmp_path: Path, videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str], c_dim: int, says: bool
) -> None:
    """A conditional generator then draws classes as it likes, which no protocol means."""
    made = make_run(tmp_path / "run", c_dim=c_dim)
    run("--real", videos, "--fake", made, "--protocol", "styleganv_fvd2048_16f", "--detector", "random_3d", *SMALL)
    assert (f"{videos}: without labels of 3 values" in capsys.readouterr().err) == says


def test_labels_of_fakes_are_those_of_real_videos_where_these_have_some(
    tmp_path: Path, videos: Path, stubs: list[Stub], capsys: pytest.CaptureFixture[str]
) -> None:
    names = sorted(path.name for path in videos.iterdir() if path.is_dir())
    labels = [[name, number % 3] for number, name in enumerate(names)]
    (videos / "dataset.json").write_text(json.dumps({"labels": labels}))
    made = make_run(tmp_path / "run", c_dim=3)
    sides = ("--real", videos, "--fake", made, "--protocol", "styleganv_fvd2048_16f", "--detector", "random_3d")
    (labelled,) = run(*sides, "--labels", "json", *SMALL)
    assert labelled["labels"] == "of random real videos" and "without labels" not in capsys.readouterr().err
    assert run(*sides, *SMALL)[-1]["labels"] == "all classes equally"


def test_another_network_takes_the_hash_of_weights_with_it(videos: Path, stubs: list[Stub], tmp_path: Path) -> None:
    text = (ROOT / "configs" / "metrics" / "styleganv_fvd2048_16f.yaml").read_text()
    (tmp_path / "fixed.yaml").write_text(text.replace("detector_sha256: null", f"detector_sha256: {'a' * 64}"))
    args = ("--real", videos, "--fake", videos, "--protocol", tmp_path / "fixed.yaml", "--detector", "random_3d")
    assert run(*args, *SMALL)[0]["detector_hash"] == "definition:stub"


def test_help_is_quick_and_says_how(tmp_path: Path) -> None:
    """Quick: of what the package itself does not bring along, nothing is imported."""
    code = (
        "import sys; from stylegan_v.metrics.__main__ import main\n"
        "try: main(['--help'])\nexcept SystemExit as e: assert not e.code\n"
        "print(sorted({'stylegan_v.metrics.command', 'datasets', 'pytorch_lightning', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.endswith("\n[]\n")
    for part in ("--real", "--fake", "--protocol", "--part", "examples:", "torchrun", "--detector random_3d"):
        assert part in done.stdout


@pytest.mark.slow
def test_as_a_program_in_two_processes(tmp_path: Path, videos: Path) -> None:
    """With a network that needs no file; one of the two prints and keeps the result, which is that of one process."""
    protocol = "styleganv_fvd2048_16f,kvd_16f"
    args = ["stylegan_v.metrics", "--real", str(videos), "--fake", str(videos), "--protocol", protocol, *SMALL]
    args += ["--detector", "random_3d", "--num_real", "6", "--batch_frames", "32"]
    alone = subprocess.run(
        [sys.executable, "-m", *args, "--out", str(tmp_path / "one.jsonl"), "--cache_dir", str(tmp_path / "one")],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    both = by_ranks(*args, "--out", str(tmp_path / "two.jsonl"), "--cache_dir", str(tmp_path / "two"))
    assert [process.returncode for process in both] == [0, 0], both[0].stderr + both[1].stderr
    assert both[0].stdout.count(" fake; all of ") == alone.stdout.count(" fake; all of ") == 2 and not both[1].stdout
    one, two = (read_lines(tmp_path / f"{name}.jsonl") for name in ("one", "two"))
    assert [{**record, "seconds": 0} for record in one] == [{**record, "seconds": 0} for record in two]
    assert all("not comparable" in record["caveat"] for record in one)
    assert json.loads((tmp_path / "one.jsonl").read_text().splitlines()[0])["protocol_hash"] == (
        read_protocol("styleganv_fvd2048_16f")
        .changed(detector="random_3d", real__max_num=6, fake__num=5, num_draws=2)
        .digest
    )


@pytest.mark.slow
def test_network_that_all_processes_lack_is_one_line_each(tmp_path: Path, videos: Path) -> None:
    args = ["stylegan_v.metrics", "--real", str(videos), "--fake", str(videos), "--protocol", "fvd_16f", *SMALL]
    done = by_ranks(*args, "--out", str(tmp_path / "none.jsonl"))
    assert [process.returncode for process in done] == [2, 2]
    for process in done:
        (line,) = [line for line in process.stderr.splitlines() if line.startswith("metrics: ")]
        assert "i3d_torchscript.pt" in line and "Traceback" not in process.stderr
