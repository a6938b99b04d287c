"""Which starts of a run belong to one launch, whose command torchrun or SLURM repeats when a process or machine fails.

The command says how to begin, so a process has to find out by itself that it is to go on. torchrun's count of restarts
does not tell: a machine whose processes were ended because another machine's had failed starts them again without
counting. So the first start of a launch leaves a mark in the run's folder; later ones find it there.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from stylegan_v.checkpoints import LAST
from stylegan_v.distributed import launched_by_torchrun


class Launch:
    """The launch to which this process belongs.

    torchrun is known by being the parent: through a program of its own between them (``--no-python``), every start is a
    first one. Inside of a SLURM job it is torchrun's starts that count, not those of the job.

    Args:
        folder: Of the run; all machines see the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark: Path | None = None  # none: whoever starts this process does so once
        self.marks = False  # whether it is this process that leaves the mark
        self.repeats = False  # whether this can be a later start
        self.made = False  # whether this process has left the mark
        if launched_by_torchrun():
            # torchrun is the parent of all that it starts on a machine, early or late; so each machine has a mark.
            self.mark = folder / f".launched-{platform.node()}-{os.environ['TORCHELASTIC_RUN_ID']}-{_parent()}"
            self.marks, self.repeats = os.environ["LOCAL_RANK"] == "0", True
        elif "SLURM_JOB_ID" in os.environ and "SLURM_PROCID" in os.environ:
            # A job that is queued again keeps its number; within one, the same command may be given twice by hand.
            self.mark = folder / f".launched-job-{os.environ['SLURM_JOB_ID']}"
            self.marks = os.environ["SLURM_PROCID"] == "0"
            self.repeats = int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0

    @property
    def saved(self) -> bool:
        """Whether an earlier start of this launch has saved the run, so that this one goes on from there."""
        return self.repeats and self._saved_since()

    def _saved_since(self) -> bool:
        last = self.folder / LAST
        if self.mark is None or not self.mark.exists() or not last.exists():
            return False
        # One that is older than the mark is of another launch; what SLURM's signal made Lightning save may be younger,
        # and Lightning takes it where nothing else is asked for.
        return all(_written(last) >= _written(path) for path in (self.mark, *self.folder.glob("hpc_ckpt_*.ckpt")))

    def begin(self) -> None:
        """Leaves the mark, if this is the first start; to be called where the run may begin.

        Raises:
            OSError: The folder cannot be written.
        """
        if self.marks and self.mark is not None and not self.mark.exists():  # one that is there stays as old as it is
            self.folder.mkdir(parents=True, exist_ok=True)
            self.mark.touch()
            self.made = True

    def undo(self) -> None:
        """Takes back `begin` where the run has come to nothing that a later start could go on from."""
        if self.made and not self._saved_since():
            self.end()

    def end(self) -> None:
        """Removes the mark: nothing is left to go on with."""
        if self.marks and self.mark is not None:
            self.mark.unlink(missing_ok=True)


def _parent() -> str:
    """The process that started this one: its number and, where the system tells, when it was started itself."""
    number = os.getppid()
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return str(number)
    return f"{number}-{fields[19]}"  # field 22 of proc(5); the third follows the name in parentheses


def _written(path: Path) -> int:
    with path.open("rb") as file:  # opened, since network file systems remember for a while what a path was
        return os.fstat(file.fileno()).st_mtime_ns
