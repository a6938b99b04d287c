"""What the C library does with memory that a network on the CPU has freed.

glibc gives blocks of more than 32 MiB back to the system at once, and takes new ones for the next tensor, page by page.
For features at 256 px that is a tenth of the time of a training step. Kept, they serve again.
"""

from __future__ import annotations

import ctypes
import os

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # numbers of mallopt's settings (glibc's malloc.h)
_NEVER = -1


def keep_freed_memory() -> bool:
    """Lets this process, and those forked from it, keep what they free; their peaks may be higher by about a tenth.

    Nothing happens without glibc, or where the environment says how it is to allocate (``MALLOC_...``,
    ``GLIBC_TUNABLES``).

    Returns:
        Whether it does so now.
    """
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, _NEVER)])
