"""A progress bar on standard error, for what is large and where somebody can see it."""

from __future__ import annotations

import sys

from kmsbridge.cli._output import is_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

LARGE = 16 << 20
"""Bytes from which a bar is shown."""


class Progress:
    """One bar for each stage. Shows nothing, and loads nothing, where it is not wanted."""

    def __init__(self) -> None:
        self._wanted = is_terminal(sys.stderr)
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._what = ""
        self._size: int | None = None
        self._done = 0

    def stage(self, what: str, size: int | None) -> None:
        """Begin a stage of so many bytes; None where that is not known."""
        if self._bar is not None and self._task is not None and self._size is None:
            self._bar.update(self._task, total=self._done, completed=self._done)
        self._what, self._size, self._done, self._task = what, size, 0, None
        if (size or 0) >= LARGE:
            self._show()

    def advance(self, size: int) -> None:
        """So many bytes more are done."""
        self._done += size
        if self._task is None and self._done >= LARGE:  # a pipe does not say beforehand
            self._show()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)

    def _show(self) -> None:
        if not self._wanted:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            columns = TextColumn("{task.description:<9}"), BarColumn(), DownloadColumn(), TimeElapsedColumn()
            self._bar = Bar(*columns, console=Console(file=sys.stderr))
            self._bar.start()
        self._task = self._bar.add_task(self._what, total=self._size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
