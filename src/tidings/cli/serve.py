"""`tidings serve`: the server."""

from pathlib import Path
from typing import Annotated

import typer

from tidings.cli.command import load_settings
from tidings.cli.output import refuse

app = typer.Typer()

PROCESSES_MAX = 64


@app.command("serve")
def serve(
    *,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="The port to listen on.", show_default="8080")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(help="The database.", metavar="URL", show_default="SQLite in the data dir"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Where the server keeps its files.", show_default="./tidings-data"),
    ] = None,
    role: Annotated[
        str | None, typer.Option(help="What this process does.", show_default="all")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, max=PROCESSES_MAX, help="How many processes share the work.")
    ] = 1,
    is_dev: Annotated[
        bool,
        typer.Option(
            "--dev",
            help="Development mode: for this machine alone, no key is needed, and callback URLs "
            "may be http:// and on loopback.",
        ),
    ] = False,
) -> None:
    """Run the server until SIGTERM or Ctrl-C. Options go before TIDINGS_ variables."""
    settings = load_settings(
        host=host, port=port, database_url=database, data_dir=data_dir, role=role
    )
    if not settings.is_postgres and (processes > 1 or settings.role != "all"):
        wanted = f"--processes {processes}" if processes > 1 else f"the role {settings.role}"
        refuse(
            f"{wanted} needs a database that several processes can share: set "
            "TIDINGS_DATABASE_URL to a postgresql:// URL"
        )
    if is_dev and not settings.is_loopback:
        refuse(f"--dev serves this machine alone; it cannot listen on {settings.host}")
    if is_dev and "log_format" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_format": "console"})

    from tidings import wiring

    raise typer.Exit(wiring.serve(settings, is_dev=is_dev, processes=processes))
