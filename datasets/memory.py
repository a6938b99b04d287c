"""How much memory a device still has, to say no before something is allocated instead of after."""

from __future__ import annotations

from pathlib import Path

import torch

_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_memory(device: torch.device, meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Bytes that can still be used; None where the system does not say.

    Args:
        device: A graphics card's own memory, else that of the machine, or what a container leaves of it.
        meminfo: Where Linux tells of the machine.
        cgroup: Where it tells of the container.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    known = [value for value in (_of_machine(meminfo), _of_container(cgroup)) if value is not None]
    return min(known) if known else None


def gigabytes(num_bytes: float) -> str:
    """A size in memory for people."""
    return f"{num_bytes / 2**30:.3g} GiB"


def _of_machine(meminfo: Path) -> int | None:
    if not meminfo.is_file():
        return None
    fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    amount = fields.get("MemAvailable", "").split()
    return int(amount[0]) * 1024 if amount else None


def _of_container(cgroup: Path) -> int | None:
    limit, used = cgroup / "memory.max", cgroup / "memory.current"
    if not limit.is_file() or not used.is_file() or not limit.read_text().strip().isdigit():
        return None
    return max(0, int(limit.read_text()) - int(used.read_text()))
