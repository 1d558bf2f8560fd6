"""Which database the settings name, and the key under which it keeps what is secret."""

from tidings.api.wire.lifecycle import lifecycle_data
from tidings.key_files import install_next_key, read_or_make_key
from tidings.settings import Settings
from tidings.storage import postgres, sqlite
from tidings.storage.postgres import PostgresStore
from tidings.storage.sealing import KEY_BYTES, Sealer
from tidings.storage.sql.store import SqlStore
from tidings.storage.sqlite.reencryption import key_fits
from tidings.system import SystemChance, SystemClock
from tidings.wiring.faults import CannotStart


def encryption_key(settings: Settings, chance: SystemChance) -> bytes:
    """The key of the settings, else the one in the data directory, which is made for new data.

    Raises `CannotStart` where there is none and none may be made.
    """
    if settings.encryption_key is not None:
        return settings.encryption_key_bytes
    if settings.is_postgres:
        raise CannotStart(
            "with PostgreSQL every server needs the same key: set TIDINGS_ENCRYPTION_KEY to 32 "
            "random bytes in base64, and keep a copy"
        )
    path = settings.encryption_key_path
    install_next_key(path, lambda key: key_fits(settings.database_path, key))
    if not path.exists() and settings.database_path.exists():
        raise CannotStart(
            f"the key {path} is missing, and the database is encrypted with it; restore the file, "
            "or set TIDINGS_ENCRYPTION_KEY"
        )
    return read_or_make_key(path, lambda: chance.key_bytes(KEY_BYTES))


async def open_store(
    settings: Settings, key: bytes, clock: SystemClock, chance: SystemChance
) -> SqlStore | PostgresStore:
    """Open the database of the settings. Raises one of `FAULTS_AT_START`."""
    sealer = Sealer(key)
    if not settings.is_postgres:
        return await sqlite.open_store(
            settings.database_path, sealer=sealer, chance=chance, lifecycle_data=lifecycle_data
        )
    assert settings.database_url is not None
    try:
        return await postgres.open_store(
            settings.database_url,
            sealer=sealer,
            chance=chance,
            lifecycle_data=lifecycle_data,
            now_ms=clock.now_ms(),
        )
    except ValueError as fault:
        raise CannotStart(f"TIDINGS_DATABASE_URL: {fault}") from fault
