"""Which keys a database goes from and to, and how the new one takes the old one's place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidings.cli.maintained import Maintained
from tidings.cli.output import CommandFailed, ExitCode, refuse
from tidings.key_files import install_next_key, next_key_path, read_key, write_key
from tidings.settings import Settings
from tidings.storage.sealing import KEY_BYTES
from tidings.storage.sql.reencryption import Reencrypted
from tidings.system import SystemChance


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A change of the encryption key. `file` is where the server keeps it, if it keeps it.

    `is_done`: the database had changed already, only the file had not.
    """

    database: Maintained
    file: Path | None
    old: bytes
    new: bytes
    is_done: bool = False

    @classmethod
    def of(cls, database: Maintained, settings: Settings, new_key_file: Path | None) -> "KeyChange":
        """The change that is asked for, or that was begun and cut short before.

        The caller holds the lock of the database. Raises `CommandFailed` when a key is missing.
        """
        file = settings.encryption_key_path
        named = _named(settings, new_key_file)
        if settings.encryption_key is not None:
            if named is None:
                refuse("give the new key: --new-key-file, or TIDINGS_NEW_ENCRYPTION_KEY")
            return cls(database, None, settings.encryption_key_bytes, named)
        if settings.is_postgres:
            refuse("set TIDINGS_ENCRYPTION_KEY to the present key")
        is_done = install_next_key(file, database.key_fits)
        if not file.exists():
            raise CommandFailed(f"there is no key at {file}", ExitCode.NOT_FOUND)
        old = read_key(file)
        if is_done and named in (None, old):
            return cls(database, file, old, old, is_done=True)
        return cls(database, file, old, named or _begun_or_fresh(file))

    def carry_out(self, progress: Callable[[int, int], None]) -> Reencrypted:
        """Seal everything anew. Cut short at any point, it can be done again."""
        if self.is_done:
            return Reencrypted(0, [])
        if self.old == self.new:
            refuse("the new key is the present one")
        if self.file is not None:
            # On disk before anything is sealed with it, or a crash could lose it.
            write_key(next_key_path(self.file), self.new)
        done = self.database.reencrypt(self.old, self.new, progress)
        if self.file is not None:
            install_next_key(self.file, lambda key: key == self.new)
        return done


def _named(settings: Settings, new_key_file: Path | None) -> bytes | None:
    if new_key_file is not None:
        return read_key(new_key_file)
    return settings.new_encryption_key_bytes


def _begun_or_fresh(file: Path) -> bytes:
    begun = next_key_path(file)
    return read_key(begun) if begun.exists() else SystemChance().key_bytes(KEY_BYTES)
