from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import generate

ROOT = Path(__file__).resolve().parents[1]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, generate\n"
        "try:\n"
        "    generate.main(['sample', '--help'])\n"
        "except SystemExit:\n"
        "    heavy = {'torch', 'numpy', 'torchvision', 'pytorch_lightning', 'av', 'decord', 'tensorboard'}\n"
        "    sys.exit(', '.join(heavy & sys.modules.keys()) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--num_videos" in done.stdout and "How many videos" in done.stdout


@pytest.mark.parametrize("verb", sorted(generate.ACTIONS))
def test_help_teaches_by_an_example_that_can_be_parsed(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        generate.main([verb, "--help"])
    assert exit_.value.code == 0
    (example,) = (line for line in capsys.readouterr().out.splitlines() if "python generate.py" in line)
    program, script, name, *flags = shlex.split(example)
    assert (program, script, name) == ("python", "generate.py", verb)
    parser = generate.ActionParser(exit_on_error=False)
    parser.add_function_arguments(generate.ACTIONS[verb])
    given = parser.parse_args(flags)
    assert str(given.ckpt).startswith("runs/") or given.video  # a model, or what one is fitted to


def test_the_list_of_verbs_shows_all_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generate.main(["--help"])
    out = capsys.readouterr().out
    assert all(f"python generate.py {verb} --" in out for verb in generate.ACTIONS)
