from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image

from fields.reconstruction import lpips
from fields.reconstruction.__main__ import main
from tests.fields.reconstruction.test_files import write_frames


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def sides(tmp_path: Path, size: int = 32) -> list[str]:
    """A reference of 100, and a result that is one and two levels off."""
    wanted = write_frames(tmp_path / "wanted", [100] * 4, size, size)
    made = write_frames(tmp_path / "made", [101, 102, 101, 102], size, size)
    return ["--reference", str(wanted), "--result", str(made), "--out", str(tmp_path / "out")]


def report_of(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "out" / "reconstruction.json").read_text())


def test_figures_of_a_known_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*sides(tmp_path), "--metrics", "psnr,ssim", "--chunk", "3"])
    want = 20 * math.log10(255) - 10 * math.log10(2)
    printed, report = capsys.readouterr().out, report_of(tmp_path)
    assert report["videos"][0]["figures"]["psnr"]["mean"] == pytest.approx(want, rel=1e-6)
    assert f"{want:.4f}" in printed
    assert report["videos"][0]["figures"]["psnr"]["worst"][0]["frame"] == 1
    assert report["missing"] == {} and report["conventions"].keys() == {"psnr", "ssim"}
    with Image.open(tmp_path / "out" / "reconstruction.png") as picture:
        assert picture.size == (640, 440)


def test_all_measures_with_weights_and_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("flip_evaluator", reason="flip-evaluator has no wheel for this machine")
    weights = tmp_path / "squeeze.pth"
    torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), weights)
    digits = hashlib.sha256(weights.read_bytes()).hexdigest()
    monkeypatch.setitem(lpips._FILES, "squeeze", f"squeeze-{digits[:8]}.pth")
    main([*sides(tmp_path), "--lpips_net", "squeeze", "--lpips_weights", str(weights), "--ppd", "30"])
    report = report_of(tmp_path)
    figures = report["videos"][0]["figures"]
    assert set(figures) == {"psnr", "ssim", "lpips", "flip"}
    assert 0 < figures["lpips"]["frames"][0] < figures["lpips"]["frames"][1]
    assert 0 < figures["flip"]["frames"][0] < figures["flip"]["frames"][1]
    assert digits in report["conventions"]["lpips"] and "30.00 pixels" in report["conventions"]["flip"]


def test_what_is_missing_is_named_the_others_are_computed_and_the_exit_code_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(SystemExit) as caught:
        main([*sides(tmp_path), "--cache_dir", str(tmp_path / "cache")])
    assert caught.value.code == 2
    printed, report = capsys.readouterr(), report_of(tmp_path)
    lines = [line for line in printed.err.splitlines() if line.startswith("reconstruction: missing: ")]
    assert len(lines) == 2
    assert str(tmp_path / "cache" / "alexnet-owt-7be5be79.pth") in lines[0] and "pip install" in lines[1]
    assert set(report["missing"]) == {"lpips", "flip"}
    assert set(report["videos"][0]["figures"]) == {"psnr", "ssim"} and "psnr" in printed.out


def test_frames_too_small_for_one_measure_leave_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*sides(tmp_path), "--metrics", "psnr,ms_ssim"])
    assert caught.value.code == 2
    assert "wanted: ms_ssim: frames of 32x32 are too small" in capsys.readouterr().err
    assert list(report_of(tmp_path)["over_videos"]) == ["psnr"]


@pytest.mark.parametrize(
    "change, says",
    [
        ({"--metrics": "pnsr"}, "metrics: pnsr: give some of"),
        ({"--result": "nowhere"}, "nowhere: no such folder"),
        ({"--chunk": "0"}, "chunk: 0"),
        ({"--ppd": "-1", "--metrics": "psnr,flip"}, "ppd: -1"),
        ({"--metrics": "lpips"}, "get alexnet-owt-7be5be79.pth from https://"),
        ({"--lpips_net": "resnet"}, "lpips_net"),
        ({"--device": "tpu"}, "device"),
        ({"--out": "FILE"}, "a file stands where a folder is needed"),
        ({"--metric": "psnr"}, "metric: no such option"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str], says: str
) -> None:
    (tmp_path / "file").touch()
    flags = dict(zip(*[iter(sides(tmp_path))] * 2, strict=True)) | {"--metrics": "psnr"} | change
    flags = {flag: str(tmp_path / "file") if value == "FILE" else value for flag, value in flags.items()}
    with pytest.raises(SystemExit) as caught:
        main([word for flag in flags.items() for word in flag])
    err = capsys.readouterr().err.strip()
    assert caught.value.code == 2 and says in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.slow
def test_help_names_every_flag_without_torch() -> None:
    code = "import sys; sys.argv = ['x', '--help']; from fields.reconstruction.__main__ import main\n"
    code += "try: main()\nexcept SystemExit: sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "--lpips_weights" in done.stdout and "67.02" in done.stdout


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fields.reconstruction.__main__.auto_cli", interrupted)
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 130 and capsys.readouterr().err == "reconstruction: stopped; nothing was written\n"
