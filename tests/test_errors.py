from __future__ import annotations

import errno

import pytest

from errors import InputError, clear_errors


def test_an_input_error_is_one_line_and_exit_code_two(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop, clear_errors("prepare"):
        raise InputError("no videos in clips/:\n   put some there")

    assert stop.value.code == 2
    assert capsys.readouterr().err == "prepare: error: no videos in clips/: put some there\n"


def test_an_input_error_is_a_value_error() -> None:
    """So that a command line made from signatures reports it as a refused value."""
    assert issubclass(InputError, ValueError)


@pytest.mark.parametrize(
    "number, remedy",
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "choose a folder you may use"),
        (errno.EROFS, "choose another folder"),
        (errno.EPERM, "choose another folder"),
        (errno.ENOTDIR, "choose another path"),
    ],
)
def test_an_operating_system_error_names_the_file_and_the_remedy(
    number: int, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop, clear_errors("generate.py"):
        raise OSError(number, "reason", "out/0001.mp4")

    line = capsys.readouterr().err
    assert stop.value.code == 2
    assert line.startswith("generate.py: error: out/0001.mp4: ")
    assert remedy in line
    assert line.count("\n") == 1


def test_a_write_that_does_not_know_its_file_still_says_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), clear_errors("train.py"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert capsys.readouterr().err.startswith("train.py: error: output: the disk is full")


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone", "x"), ValueError("a bug"), KeyError("k")])
def test_what_a_user_cannot_mend_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, clear_errors("train.py"):
        raise error

    assert caught.value is error


def test_no_error_is_no_exit(capsys: pytest.CaptureFixture[str]) -> None:
    with clear_errors("train.py"):
        print("done")

    assert capsys.readouterr() == ("done\n", "")
