"""Images in tar archives, as WebDataset keeps its shards: the members that are named as images."""

from __future__ import annotations

import contextlib
import os
import tarfile
import zlib
from pathlib import Path
from typing import Iterator, Optional, Tuple, Type, Union

from crnn.batch import IMAGE_TOO_LARGE, Problem, Sample
from crnn.errors import InputError
from crnn.limits import limit
from crnn.samples.image_files import is_image_name

BROKEN = "broken tar"
SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_MARK = b"ustar"
_MARK_AT = 257
_RECORD = 512
_LONG = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)
_LONGEST = 1 << 20
"""Bytes of a member's name and of what else stands before it; `tarfile` reads them at once."""


def _damages() -> Tuple[Type[Exception], ...]:
    """Return what a damaged archive, or what compresses it, raises."""
    found = [tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, RecursionError]
    # Python may have been built without it.
    with contextlib.suppress(ImportError):
        from lzma import LZMAError

        found.append(LZMAError)
    return tuple(found)


_DAMAGE = _damages()


def is_tar(path: Path) -> bool:
    """Say whether a file is a tar archive, by its name or its first header.

    Args:
        path: A file.

    Returns:
        False for what cannot be read too.
    """
    if path.name.lower().endswith(SUFFIXES):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(_RECORD)[_MARK_AT:].startswith(_MARK)
    except OSError:
        return False


class TarImages:
    """The images in an archive, read from its beginning to its end; memory is that of one member.

    An archive that cannot be read to its end gives a sample with a problem there, under the name
    of the member or of the archive.

    Args:
        path: The archive, compressed by gzip, bzip2 or xz or not at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __iter__(self) -> Iterator[Sample]:
        name = ""
        try:
            with _opened(self.path) as archive:
                # One of no members stays at its beginning; Python 3.8 would look before that.
                while archive.offset:
                    name = ""
                    member = archive.next()
                    if member is None:
                        break
                    # It would keep what it knows of each, and there may be millions.
                    archive.members.clear()  # type: ignore[attr-defined]
                    name = member.name
                    image = _image(archive, member)
                    if image is not None:
                        yield _sample(name, image)
                found = _damage_at_end(archive)
        except _DAMAGE as error:
            found = Problem(BROKEN, str(error) or type(error).__name__)
        except OSError as error:
            # What decompresses says of its input.
            if error.errno is not None:
                raise InputError(f"{self.path} cannot be read: {error.strerror}") from error
            found = Problem(BROKEN, str(error))
        if found is not None:
            yield Sample(name, None, None, found)


class _Header(tarfile.TarInfo):
    """A member's header; one that is followed by more than anybody's name is refused."""

    @classmethod
    def frombuf(cls, buf: Union[bytes, bytearray], encoding: str, errors: str) -> _Header:
        """See `tarfile.TarInfo.frombuf`."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _LONG and found.size > _LONGEST:
            raise tarfile.ReadError(f"a name of {found.size} bytes; the limit is {_LONGEST}")
        return found


def _opened(path: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(os.fspath(path), "r:*", tarinfo=_Header)
    except tarfile.ReadError as error:
        # tarfile tells of each way in which it has tried it, a line each.
        what = "it is not a tar archive, plain or compressed by gzip, bzip2 or xz"
        if not path.stat().st_size:
            what = "it is an empty file; an archive of no members has 1024 bytes at least"
        raise tarfile.ReadError(what) from error


def _sample(name: str, image: Union[bytes, Problem]) -> Sample:
    if isinstance(image, Problem):
        return Sample(name, None, None, image)
    return Sample(name, image, None)


def _image(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Optional[Union[bytes, Problem]]:
    """Return a member's bytes, or what is wrong with it; None where it is something else."""
    if not member.isreg() or not is_image_name(member.name.rpartition("/")[2]):
        return None
    most = limit("image_bytes")
    if member.size > most:
        return Problem(IMAGE_TOO_LARGE, f"{member.size} bytes; the limit is {most}")
    file = archive.extractfile(member)
    assert file is not None
    data = file.read()
    if len(data) < member.size:
        raise tarfile.ReadError(f"{len(data)} of {member.size} bytes are there")
    return data


def _damage_at_end(archive: tarfile.TarFile) -> Optional[Problem]:
    """Return what stands where an archive seems to end, where that is not its end.

    `tarfile` takes a damaged header for the end.
    """
    file = archive.fileobj
    assert file is not None
    file.seek(archive.offset)
    header = file.read(_RECORD)
    if not header.strip(b"\0"):
        return None
    return Problem(BROKEN, f"at byte {archive.offset} there is no header of a member")
