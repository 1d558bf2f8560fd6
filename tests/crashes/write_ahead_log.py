"""SQLite's write-ahead log as a file: where its last commit ends, and ways to damage it.

The format is that of https://www.sqlite.org/walformat.html: a header of 32 bytes, then frames of a
header of 24 bytes and a page each. A frame counts if it carries the salts of the header and its
checksum goes on from the frame before; it ends a transaction if it names the size of the database.
"""

import random
import struct
from pathlib import Path
from typing import Final, NamedTuple

_HEADER_BYTES: Final = 32
_FRAME_HEADER_BYTES: Final = 24
_HEADER = struct.Struct(">8I")
_FRAME_HEADER = struct.Struct(">6I")
_BIG_ENDIAN_MAGIC: Final = 0x377F0683
_COPIED_FRAMES_AT: Final = 128
"""Where the index beside the log says how many frames may be in the database file already."""

_Sums = tuple[int, int]


class WriteAheadLog(NamedTuple):
    """What counts in a log: its committed frames, as far as they follow one another."""

    path: Path
    page_bytes: int
    salts: tuple[int, int]
    order: str
    ends: list[int]
    """Where in the file each committed transaction ends."""
    frames_at: list[int]
    """Where each frame of them begins."""
    sums: _Sums
    """The checksum that a next frame goes on from."""

    @property
    def end(self) -> int:
        """Where the last commit ends; what follows never happened."""
        return self.ends[-1] if self.ends else _HEADER_BYTES

    def frame(
        self, page: int, content: bytes, *, sums: _Sums, size: int = 0
    ) -> tuple[bytes, _Sums]:
        """A frame that counts; with a `size` it commits."""
        begin = struct.pack(">2I", page, size)
        sums = _checksum(begin + content, sums, self.order)
        return begin + struct.pack(">4I", *self.salts, *sums) + content, sums


def read_log(path: Path) -> WriteAheadLog:
    """Read a log that nobody writes to; it must have been begun."""
    content = path.read_bytes()
    magic, _, page_bytes, _, salt1, salt2, *sums = _HEADER.unpack(content[:_HEADER_BYTES])
    order = ">" if magic == _BIG_ENDIAN_MAGIC else "<"
    ends, frames_at, committed = [], [], (sums[0], sums[1])
    running, begun = committed, []
    step = _FRAME_HEADER_BYTES + page_bytes
    for at in range(_HEADER_BYTES, len(content) - step + 1, step):
        _, size, *rest = _FRAME_HEADER.unpack(content[at : at + _FRAME_HEADER_BYTES])
        page = content[at + _FRAME_HEADER_BYTES : at + step]
        running = _checksum(content[at : at + 8] + page, running, order)
        if rest != [salt1, salt2, *running]:
            break
        begun.append(at)
        if size:
            ends.append(at + step)
            frames_at += begun
            begun, committed = [], running
    return WriteAheadLog(path, page_bytes, (salt1, salt2), order, ends, frames_at, committed)


def scribble_behind(log: WriteAheadLog, draw: random.Random) -> str:
    """Leave behind the last commit what a torn write may leave; answers which kind it is."""
    page = draw.randbytes(log.page_bytes)
    begun, sums = log.frame(2, page, sums=log.sums)
    commit, _ = log.frame(3, page, sums=sums, size=100)
    kinds = {
        "noise": draw.randbytes(draw.randrange(1, 3 * len(begun))),
        "an uncommitted frame": begun,
        "half of a commit": begun + commit[: draw.randrange(1, len(commit))],
        "a commit with a flipped bit": begun + _flipped(commit, draw),
        "a commit whose first frame is missing": bytes(len(begun)) + commit,
    }
    kind = draw.choice(list(kinds))
    with log.path.open("r+b") as file:
        file.seek(log.end)
        file.write(kinds[kind])
    return kind


def frames_not_copied(log: WriteAheadLog) -> list[int]:
    """Where the committed frames begin that only the log holds; none just after a checkpoint."""
    index = log.path.with_name(log.path.name.removesuffix("-wal") + "-shm").read_bytes()
    (copied,) = struct.unpack_from("=I", index, _COPIED_FRAMES_AT)
    return log.frames_at[copied:]


def cut_or_flip(log: WriteAheadLog, draw: random.Random) -> int:
    """Destroy the log from some frame on that only the log holds; answers how many commits went.

    There must be such a frame. No crash does this to what was flushed: it is what a disk that lies
    about flushes may do.
    """
    frame = draw.choice(frames_not_copied(log))
    at = frame + draw.randrange(_FRAME_HEADER_BYTES + log.page_bytes)
    with log.path.open("r+b") as file:
        if draw.random() < 0.5:
            file.truncate(at)
        else:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << draw.randrange(8))]))
    return sum(end > at for end in log.ends)


def _flipped(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << draw.randrange(8))]) + content[at + 1 :]


def _checksum(content: bytes, sums: _Sums, order: str) -> _Sums:
    first, second = sums
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second
