"""Writing the LMDB of text recognition:

in batches, whole or not at all, its map grown as the data ask for it.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Iterator, List, Optional, Sequence, Tuple

from crnn.errors import InputError, needs
from crnn.files import atomic_folder, require_parent
from crnn.samples.lexicons import LEXICON, encode_lexicons
from crnn.samples.lmdb import DATA_FILE
from crnn.samples.lmdb_pages import require_sound_pages

MAX_SAMPLES = 999_999_999
"""What the nine digits of a key can count."""

_FIRST_MAP = 16 << 20
_BATCH_SAMPLES = 1000
_BATCH_BYTES = 16 << 20


class LmdbWriter:
    """Appends samples to the LMDB in ``folder``, numbered from 1; the same calls give the same keys
    and values.

    An LMDB that is there is continued after the samples that it holds in full. Samples become
    durable a batch at a time; ``num-samples`` is written by `finish` alone, so that an LMDB that
    was left half-way shows it. ``target`` is the name that errors give the LMDB, where it will not
    stay in ``folder``.
    """

    def __init__(self, folder: Path, *, target: Optional[Path] = None) -> None:
        with needs("lmdb"):
            import lmdb
        self._lmdb = lmdb
        self._folder, self._target = folder, target or folder
        file = folder / DATA_FILE
        # The size of the map is not a size on disk: the file grows with what is put in.
        size = _FIRST_MAP
        if file.exists():
            require_sound_pages(file)
            size = max(size, 2 * file.stat().st_size)
        with self._told():
            self._environment = lmdb.open(str(folder), map_size=size, lock=False, max_dbs=0)
        self._pending: List[Tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        self._pending_samples = 0
        self._finished = False
        with self._told(), self._environment.begin() as reading:
            self.count = _last_index(reading)

    def add(self, image: bytes, label: str, lexicons: Sequence[Sequence[str]] = ()) -> int:
        """Append a sample and return its index. ``image`` is stored as it is."""
        if self.count >= MAX_SAMPLES:
            raise InputError(
                f"an LMDB's nine-digit keys count {MAX_SAMPLES} samples; there are more: split the"
                " source"
            )
        self.count += 1
        self._put(b"image-%09d" % self.count, image)
        self._put(b"label-%09d" % self.count, label.encode("utf-8"))
        if lexicons:
            self._put(b"lexicon-%09d" % self.count, encode_lexicons(lexicons))
        self._pending_samples += 1
        if self._pending_samples >= _BATCH_SAMPLES or self._pending_bytes >= _BATCH_BYTES:
            self.flush()
        return self.count

    def set_lexicon(self, words: Sequence[str]) -> None:
        """Store the lexicon of the whole data set."""
        self._put(LEXICON, encode_lexicons([words]))

    def flush(self) -> None:
        """Commit what was added so far."""
        while self._pending:
            with self._told():
                try:
                    with self._environment.begin(write=True) as writing:
                        # Ordered keys fill the tree's pages better, and give the same file for the
                        # same samples.
                        writing.cursor().putmulti(sorted(self._pending))
                    self._pending.clear()
                except self._lmdb.MapFullError:
                    self._environment.set_mapsize(2 * self._environment.info()["map_size"])
        self._pending_bytes = self._pending_samples = 0

    def finish(self) -> None:
        """Write ``num-samples`` and commit; nothing may be added after it.

        A second call does nothing.
        """
        if not self._finished:
            self._put(b"num-samples", b"%d" % self.count)
            self.flush()
            self._finished = True

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self._environment.close()

    def _put(self, key: bytes, value: bytes) -> None:
        self._pending.append((key, value))
        self._pending_bytes += len(value)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._lmdb.Error as error:
            reason = str(error).replace(f"{self._folder}: ", "")
            raise InputError(
                f"the LMDB {self._target} cannot be written: {reason}",
                hint="Check the space left on the disk, and the permissions of the folder.",
            ) from error


@contextlib.contextmanager
def new_lmdb(path: Path, *, force: bool = False) -> Iterator[LmdbWriter]:
    """Write an LMDB that appears when the block ends well; after an exception nothing new is left.

    Args:
        path: The folder that is to appear.
        force: Whether an LMDB that stands there may be replaced.

    Yields:
        The writer.

    Raises:
        InputError: Something stands at ``path`` (see `require_free`), or nothing was written.
    """
    require_free(path, force=force)
    with atomic_folder(path) as folder:
        writer = LmdbWriter(folder, target=path)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()


def require_free(
    path: Path, *, force: bool = False, inside: Optional[Sequence[str]] = None
) -> None:
    """Refuse to replace what stands at a path, but for an empty folder and, with ``force``, an
    LMDB.

    Args:
        path: The folder that is to be written.
        force: Whether an LMDB that stands there may be replaced.
        inside: The files that the folder may hold to be replaced with ``force``, in the place of an
            LMDB's.

    Raises:
        InputError: Something else stands there.
    """
    require_parent(path)
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise InputError(f"{path} is a link or a file; expected a folder that does not exist yet")
    names = {entry.name for entry in path.iterdir()}
    if not names:
        return
    foreign = sorted(names - set(inside or (DATA_FILE, "lock.mdb")))
    if foreign:
        raise InputError(
            f"{path} is a folder that holds other things ({', '.join(foreign[:3])}); it is not"
            " replaced",
            hint="Give the name of a folder that does not exist yet.",
        )
    if not force:
        raise InputError(
            f"{path} exists already", hint="Give another name, or --force to replace it."
        )


def _last_index(reading: Any) -> int:
    """Return the last index; samples are committed whole, so one label a sample is proof of all of
    it.
    """
    cursor = reading.cursor()
    # The first key after all labels; before it, the last of them.
    if cursor.set_range(b"label."):
        found = cursor.prev()
    else:
        found = cursor.last()
    key = b""
    if found:
        key = cursor.key()
    if key.startswith(b"label-"):
        return int(key[len(b"label-") :])
    return 0
