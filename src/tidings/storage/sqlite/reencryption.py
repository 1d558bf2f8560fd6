"""Sealing everything in a file anew under another key: all of it in one transaction, or nothing.

At every moment the database opens with exactly one of the two keys: the old one until the commit,
the new one from then on.
"""

from collections.abc import Callable
from pathlib import Path

import apsw

from tidings.storage.sealing import Sealer
from tidings.storage.sql.reencryption import Reencrypted, is_sealed_with, seal_all
from tidings.storage.sql.store import check_key
from tidings.storage.sqlite.connection import connect, our_words
from tidings.storage.sqlite.store import migrate_file


def key_fits(path: Path, key: bytes) -> bool:
    """Whether the database there was sealed with this key. Raises `StoreUnavailable`."""
    if not path.exists():
        return False
    db = connect(path, reads_only=True)
    try:
        with our_words():
            return is_sealed_with(db, key)
    finally:
        db.close()


def reencrypt(
    path: Path, old_key: bytes, new_key: bytes, progress: Callable[[int, int], None]
) -> Reencrypted:
    """Seal everything anew; `progress` is told values done and values in all.

    The caller holds the lock of the database. What the old key does not open stays as it is. In a
    database that opens with the new key nothing is sealed anew. At last the file is written anew,
    because what was sealed with the old key is left in parts that are not in use; that needs as
    much room again. Raises `WrongKey` when neither key is the right one, and `StoreUnavailable`.
    """
    migrate_file(path)
    done = Reencrypted(0, [])
    is_sealed = key_fits(path, new_key)
    db = connect(path)
    try:
        if not is_sealed:
            check_key(db, Sealer(old_key))
        with our_words():
            if not is_sealed:
                with db:
                    done = seal_all(db, Sealer(new_key, old_key), progress)
            db.execute("VACUUM")
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    finally:
        db.close()
    return done
