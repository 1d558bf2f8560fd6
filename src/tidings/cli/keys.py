"""`tidings keys`: who may do what."""

from typing import Annotated

import typer

from tidings.cli.command import Cursor, Limit, command, group
from tidings.cli.output import Screen
from tidings.cli.remote import Remote

app = group("Create, list and revoke API keys.")

_COLUMNS = {
    "key": "keyId",
    "name": "name",
    "scopes": "scopes",
    "tenant": "tenantId",
    "expires at": "expiresAt",
}


@command(app, "create")
def create_key(
    remote: Remote,
    screen: Screen,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    *,
    scopes: Annotated[
        list[str], typer.Option("--scope", help="What it allows, such as events:write; repeat it.")
    ],
    expires_at: Annotated[
        str | None, typer.Option(help="Until when it holds: 2025-05-04T12:00:00Z")
    ] = None,
) -> None:
    """Create a key. With --tenant it sees that tenant alone. It is shown here and never again."""
    body = {"name": name, "scopes": scopes, "expiresAt": expires_at}
    screen.item(remote.create("api-keys", body=body))


@command(app, "list")
def list_keys(
    remote: Remote, screen: Screen, *, limit: Limit = None, cursor: Cursor = None
) -> None:
    """List keys, newest first, without the keys themselves."""
    screen.page(remote.get("api-keys", limit=limit, cursor=cursor), _COLUMNS)


@command(app, "revoke")
def revoke_key(
    remote: Remote,
    screen: Screen,
    key_id: Annotated[
        str, typer.Argument(metavar="KEY_ID", help="The key's id, as `list` shows it.")
    ],
) -> None:
    """Revoke a key, at once."""
    screen.answer(remote.revoke(key_id), f"{key_id} is revoked.")
