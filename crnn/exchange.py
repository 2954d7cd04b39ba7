"""Two folders change places in one step, where the system and the file system can do that."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from pathlib import Path
from typing import Any, Optional

_EXCHANGE = 2
"""RENAME_EXCHANGE of linux/fs.h."""
_AT_FDCWD = -100
_NUMBERS = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "ppc64le": 357, "s390x": 347}
"""The number of the system call, for C libraries that do not name it (glibc before 2.28)."""
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP)
"""What kernels, file systems and containers' filters answer that cannot or may not do it."""


def exchanged(first: Path, second: Path) -> bool:
    """Let two paths change places in one step (renameat2(2) with RENAME_EXCHANGE).

    Args:
        first: A file or folder.
        second: Another one on the same file system.

    Returns:
        False where the system or the file system cannot do it; then nothing was changed.

    Raises:
        OSError: It can, but not with these.
    """
    error = _renameat2(os.fsencode(first), os.fsencode(second))
    if error in _CANNOT:
        return False
    if error:
        raise OSError(error, os.strerror(error), str(second))
    return True


def _renameat2(first: bytes, second: bytes) -> int:
    """Return the error's number, 0 for none."""
    library: Any = ctypes.CDLL(None, use_errno=True)
    named = (_AT_FDCWD, first, _AT_FDCWD, second, ctypes.c_uint(_EXCHANGE))
    call: Optional[Any] = getattr(library, "renameat2", None)
    if call is not None:
        done = call(*named)
    else:
        number = _NUMBERS.get(platform.machine())
        if number is None:
            return errno.ENOSYS
        done = library.syscall(ctypes.c_long(number), *named)
    if done == 0:
        return 0
    return ctypes.get_errno()
