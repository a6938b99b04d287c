from __future__ import annotations

from pathlib import Path

import pytest

from stylegan_v.metrics.detectors import table
from stylegan_v.metrics.detectors.__main__ import main
from stylegan_v.metrics.detectors.table import describe_table
from weight_files import Located


def test_the_command_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--cache_dir", str(tmp_path)])
    assert capsys.readouterr().out == describe_table(tmp_path)


def test_a_download_says_where_it_is_and_its_hash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "download", lambda spec, cache_dir: Located(Path(cache_dir, spec.file), "ab" * 32))
    main(["--download", "i3d", "--cache_dir", str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'i3d_torchscript.pt'}\nsha256 {'ab' * 32}\n"


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--download", "c3d"], "detectors: error: c3d: c3d_ucf101.pt cannot be fetched by a program: get it from"),
        (["--download", "i3dd"], "detectors: error: detector: i3dd: there is no such network"),
        (["--downlod", "i3d"], "detectors: error: downlod: no such option: did you mean download?"),
    ],
)
def test_what_cannot_be_done_is_one_line(flags: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(flags)
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said.startswith(words) and said.count("\n") == 1
