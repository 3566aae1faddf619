"""The files of a store: looked at before they are opened, and made so that they appear whole.

The database is looked at by name only, never opened here: closing any descriptor of a
file drops the locks that SQLite holds on it in this process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager, suppress

from kmsbridge_local._errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    TimeLeft = Callable[[], float]
    """Seconds until the deadline; raises TimeoutError when there are none."""

MODE = 0o600
_MAX_READ = 4096


def status_of(path: str) -> os.stat_result | None:
    """The state of a file of ours; None where there is none.

    Raises:
        StoreError: It is not a regular file, not ours, or others may read or write it.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    _check(path, status)
    return status


def _check(path: str, status: os.stat_result) -> None:
    user = os.geteuid()
    if stat.S_ISLNK(status.st_mode):
        raise StoreError("FileIsLink", f"{path} is a symbolic link")
    if not stat.S_ISREG(status.st_mode):
        raise StoreError("FileNotRegular", f"{path} is not a regular file")
    if status.st_uid != user:
        raise StoreError("FileOfAnotherUser", f"{path} belongs to user {status.st_uid}, and this runs as user {user}")
    if status.st_mode & 0o077:
        mode = f"mode {stat.S_IMODE(status.st_mode):04o}"
        raise StoreError("FileOpenToOthers", f"others may read or write {path} ({mode})")


def check_folder(folder: str) -> None:
    """Refuse a folder that is missing, and one in which anybody may replace files.

    Raises:
        StoreError: It is not there; or all may write to it, and it has no sticky bit.
        PermissionError: This user may not look into it.
    """
    try:
        mode = os.stat(folder).st_mode
    except FileNotFoundError:
        mode = None
    if mode is None:
        raise StoreError("FolderMissing", f"the folder {folder} is not there")
    if not stat.S_ISDIR(mode):
        raise StoreError("StoreUnreadable", f"{folder} is not a folder")
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise StoreError("FolderOpenToOthers", f"anybody may replace files in {folder} (mode {stat.S_IMODE(mode):04o})")
    check_access(folder, os.X_OK)


def check_access(path: str, mode: int) -> None:
    """Refuse what SQLite could not open either: it does not say which file, nor why.

    Raises:
        PermissionError: This user has not these permissions.
    """
    if not os.access(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def make_folder(folder: str) -> None:
    """Make a folder of mode 0700 if it is missing.

    Raises:
        StoreError: It cannot be made.
    """
    if os.path.isdir(folder):
        return
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        sync_folder(os.path.dirname(folder))
    except OSError as error:
        failure = error
    else:
        return
    reason = os.strerror(failure.errno or 0)
    raise StoreError("StoreUnreadable", f"the folder {folder} cannot be made: {reason}") from failure


@contextmanager
def folder_lock(folder: str, time_left: TimeLeft) -> Iterator[None]:
    """Only one process at a time makes or replaces files in a folder. A kill releases it.

    Raises:
        TimeoutError: Another held it for too long.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(min(0.01, time_left()))
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing is not enough once a fork has copied it
        os.close(descriptor)


def write_new(path: str, content: bytes) -> None:
    """Make a file of mode 0600, whatever the umask, and let its content reach the disk.

    Raises:
        FileExistsError: It is there.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
    try:
        os.fchmod(descriptor, MODE)
        while content:
            content = content[os.write(descriptor, content) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: str, path: str) -> None:
    """Give a finished file its name, and let that reach the disk; never in place of another.

    Raises:
        FileExistsError: There is one of that name.
    """
    os.link(temporary, path)
    os.unlink(temporary)
    sync_folder(os.path.dirname(path))


def sync_folder(folder: str) -> None:
    """Let the names in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(*paths: str) -> None:
    """Remove files, if they are there."""
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)


def read_private(path: str) -> bytes | None:
    """The content of a small file of ours, checked; None where there is none."""
    if status_of(path) is None:
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(path, os.fstat(descriptor))  # again: by now another may stand there
        return os.read(descriptor, _MAX_READ)
    finally:
        os.close(descriptor)


def read_mounted(path: str) -> bytes | None:
    """The content of a small file that an operator named; None where there is none.

    Orchestrators mount secrets as links to files of root that a group may read, so these
    are taken; what all may read, or others may write, is not.

    Raises:
        StoreError: It is not a regular file, not ours or root's, or open to others.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError("FileNotRegular", f"{path} is not a regular file")
        if status.st_uid not in (0, os.geteuid()):
            raise StoreError("FileOfAnotherUser", f"{path} belongs to user {status.st_uid}")
        if mode & (0o027 if status.st_uid == 0 else 0o077):
            raise StoreError("FileOpenToOthers", f"others may read or write {path} (mode {mode:04o})")
        return os.read(descriptor, _MAX_READ)
    finally:
        os.close(descriptor)
