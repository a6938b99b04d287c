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

    Args:
        folder: Of the run; all machines see the same.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mark: Path | None = None  # none: whoever starts this process does so once
        self.marks = False  # whether it is this process that leaves the mark
        self.repeats = False  # whether this can be a later start
        if launched_by_torchrun():
            # torchrun is the parent of all that it starts on a machine, early or late; so each machine has a mark.
            self.mark = folder / f".launched-{platform.node()}-{os.getppid()}"
            self.marks, self.repeats = os.environ["LOCAL_RANK"] == "0", True
        elif "SLURM_JOB_ID" in os.environ and "SLURM_PROCID" in os.environ:
            # A job that is queued again keeps its number; within one, the same command may be given twice by hand.
            self.mark = folder / f".launched-job-{os.environ['SLURM_JOB_ID']}"
            self.marks = os.environ["SLURM_PROCID"] == "0"
            self.repeats = int(os.environ.get("SLURM_RESTART_COUNT", "0")) > 0

    @property
    def saved(self) -> bool:
        """Whether an earlier start of this launch has saved the run, so that this one goes on from there."""
        last = self.folder / LAST
        if not self.repeats or self.mark is None or not self.mark.exists() or not last.exists():
            return False
        return _written(last) >= _written(self.mark)  # an older one is of another launch

    def begin(self) -> None:
        """Leaves the mark, if this is the first start; to be called where the run may begin."""
        if self.marks and self.mark is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.mark.open("a").close()  # one that is there stays as old as it is

    def end(self) -> None:
        """Removes the mark: nothing is left to go on with."""
        if self.marks and self.mark is not None:
            self.mark.unlink(missing_ok=True)


def _written(path: Path) -> int:
    with path.open("rb") as file:  # opened, since network file systems remember for a while what a path was
        return os.fstat(file.fileno()).st_mtime_ns
