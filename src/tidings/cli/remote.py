"""A thin client of the HTTP API: a request becomes its answer, or a line that says why not."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote, urlsplit

from tidings import __version__
from tidings.cli.output import Answer, CommandFailed, ExitCode, exit_code_of, refuse, shown
from tidings.core.refusals import Refusal

if TYPE_CHECKING:
    import httpx2

    from tidings.settings import Settings

DEFAULT_SERVER: Final = "http://127.0.0.1:8080"
_TIMEOUT_SECONDS: Final = 60
"""Longer than the longest attempt that `test` may wait for."""
_CONNECT_SECONDS: Final = 10
_CODES_BY_STATUS: Final[Mapping[int, ExitCode]] = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    408: ExitCode.UNAVAILABLE,
    409: ExitCode.CONFLICT,
    412: ExitCode.CONFLICT,
    413: ExitCode.USAGE,
    415: ExitCode.USAGE,
    422: ExitCode.USAGE,
    429: ExitCode.UNAVAILABLE,
    502: ExitCode.UNAVAILABLE,
    503: ExitCode.UNAVAILABLE,
    504: ExitCode.UNAVAILABLE,
}
"""For answers whose code is no refusal of ours, such as those of a proxy between."""
_UNAUTHORIZED: Final = 401


class Remote:
    """A server, the key to it, and the tenant that a command is about."""

    def __init__(self, server: str, api_key: str | None, tenant: str | None = None) -> None:
        import httpx2

        self.tenant = tenant
        self.server = server
        self._found_key: str | None = None
        self._client = httpx2.Client(
            base_url=server,
            timeout=_TIMEOUT_SECONDS,
            trust_env=False,
            headers={"User-Agent": f"tidings/{__version__}", "Accept": "application/json"},
        )
        if api_key is not None:
            self._use_key(api_key)

    @classmethod
    def from_settings(cls, settings: "Settings", tenant: str | None) -> Self:
        """The server of the settings, with its key: the one given, or the one that it left here."""
        given = settings.api_key.get_secret_value() if settings.api_key is not None else None
        remote = cls(settings.server or DEFAULT_SERVER, given, tenant)
        host = urlsplit(remote.server).hostname
        # The key in the data directory belongs to the server of this machine, and to no other.
        if given is None and host in ("127.0.0.1", "::1", "localhost"):
            try:
                remote._found_key = settings.admin_key_path.read_text("ascii").strip()
            except (OSError, ValueError):
                return remote
            remote._use_key(remote._found_key)
        return remote

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _fault: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def get(self, *path: str, **query: Any) -> Answer:
        """Read something. Members of the query that are None are left out."""
        return self._request("GET", path, self._query(query))

    def post(
        self,
        *path: str,
        body: Mapping[str, Any] | None = None,
        raw: Mapping[str, str] | None = None,
    ) -> Answer:
        """Do something to what belongs to a tenant. Members of `raw` are JSON already."""
        content = None if body is None else _object(body, raw or {})
        return self._request("POST", path, self._query({}), content)

    def create(
        self, path: str, *, body: Mapping[str, Any], raw: Mapping[str, str] | None = None
    ) -> Answer:
        """Create something for a tenant, which the body names. As `post` otherwise."""
        content = _object({"tenantId": self.tenant, **body}, raw or {})
        return self._request("POST", (path,), {}, content)

    def patch(
        self, *path: str, body: Mapping[str, Any], raw: Mapping[str, str] | None = None
    ) -> Answer:
        """Change something; None restores the default. Members of `raw` are JSON already."""
        members = {name: json.dumps(value) for name, value in body.items()} | dict(raw or {})
        return self._request("PATCH", path, self._query({}), _object({}, members))

    def put(
        self, *path: str, body: Mapping[str, Any], raw: Mapping[str, str], force: bool
    ) -> Answer:
        """Say what something is to be. Members of `raw` are JSON already."""
        query = self._query({"force": "true" if force else None})
        return self._request("PUT", path, query, _object(body, raw))

    def delete(self, *path: str) -> Answer:
        """Delete what belongs to a tenant."""
        return self._request("DELETE", path, self._query({}))

    def revoke(self, key_id: str) -> Answer:
        """Revoke a key. Its id is enough, whatever tenant it belongs to."""
        return self._request("DELETE", ("api-keys", key_id), {})

    @contextmanager
    def listen(
        self, event_type: str | None, last_id: str, *, silence_seconds: float
    ) -> Iterator[Iterator[bytes]]:
        """The bytes of the stream of events, behind an id unless that is empty.

        It counts as broken when nothing comes for `silence_seconds`.
        """
        import httpx2

        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        query = self._query({"eventType": event_type})
        timeout = httpx2.Timeout(silence_seconds, connect=_CONNECT_SECONDS)
        with self._broken_connections_told(silence_seconds), ExitStack() as rest:
            while True:
                opening = self._client.stream(
                    "GET", "/events/stream", params=query, headers=headers, timeout=timeout
                )
                answer = rest.enter_context(opening)
                if answer.status_code != _UNAUTHORIZED or self._found_key is None:
                    break
                self._drop_found_key()
            if not answer.is_success:
                answer.read()
                raise _failure(answer)
            yield answer.iter_bytes()

    def _query(self, query: Mapping[str, Any]) -> dict[str, str]:
        given = {"tenantId": self.tenant, **query}
        return {name: str(value) for name, value in given.items() if value is not None}

    def _request(
        self,
        method: str,
        path: tuple[str, ...],
        query: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        url = "/" + "/".join(quote(part, safe="").replace(".", "%2E") for part in path)
        headers = {} if body is None else {"Content-Type": "application/json"}
        with self._broken_connections_told(_TIMEOUT_SECONDS):
            answer = self._client.request(method, url, params=query, content=body, headers=headers)
        if answer.status_code == _UNAUTHORIZED and self._found_key is not None:
            self._drop_found_key()
            return self._request(method, path, query, body)
        if not answer.is_success:
            raise _failure(answer)
        return Answer(answer.content)

    @contextmanager
    def _broken_connections_told(self, seconds: float) -> Iterator[None]:
        """Turn what can happen to a connection into a line; `seconds` is how long it may last."""
        import httpx2

        try:
            yield
        except httpx2.ConnectError:
            raise CommandFailed(
                f"no server answers at {self.server}; start one with `tidings serve`, "
                "or name another with --server",
                ExitCode.UNAVAILABLE,
            ) from None
        except httpx2.TimeoutException:
            raise CommandFailed(
                f"{self.server} did not answer within {seconds:g} seconds",
                ExitCode.UNAVAILABLE,
            ) from None
        except httpx2.TransportError as fault:
            raise CommandFailed(
                f"the connection to {self.server} broke: {fault}", ExitCode.UNAVAILABLE
            ) from None

    def _drop_found_key(self) -> None:
        """Go without it: it may be that of another server, and one for development needs none."""
        self._found_key = None
        del self._client.headers["Authorization"]

    def _use_key(self, api_key: str) -> None:
        if not api_key.isascii() or not api_key.isprintable():
            refuse("an API key consists of visible ASCII characters")
        self._client.headers["Authorization"] = f"Bearer {api_key}"


def _object(body: Mapping[str, Any], raw: Mapping[str, str]) -> bytes:
    """A JSON object without the members that are None."""
    members = {name: json.dumps(value) for name, value in body.items() if value is not None}
    members |= raw
    return (
        f"{{{','.join(f'{json.dumps(name)}:{text}' for name, text in members.items())}}}".encode()
    )


def _failure(answer: "httpx2.Response") -> CommandFailed:
    """The line that a problem becomes, and its exit code."""
    code = _CODES_BY_STATUS.get(answer.status_code, ExitCode.FAILED)
    try:
        problem = answer.json()
        line, name = str(problem["detail"]), str(problem["code"])
    except (ValueError, KeyError, TypeError):
        return CommandFailed(
            f"the server answered {answer.status_code} and nothing that Tidings would; "
            "is it the right one?",
            code,
        )
    places = [f"{one['pointer']}: {one['detail']}" for one in problem.get("errors", [])]
    if places:
        line = f"{line}: {'; '.join(places)}"
    refusal = _refusals(Refusal).get(name)
    return CommandFailed(
        f"{shown(line)} ({name})",
        code if refusal is None else exit_code_of(refusal),
        problem=name,
    )


def _refusals(refusal: type[Refusal]) -> dict[str, type[Refusal]]:
    found = {refusal.code: refusal} if refusal.code else {}
    for narrower in refusal.__subclasses__():
        found |= _refusals(narrower)
    return found
