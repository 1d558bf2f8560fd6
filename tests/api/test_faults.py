"""The faults that a decoder finds, retold."""

from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from tidings.api.faults import fault_of


class _Inner(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    how_many: Annotated[int, Meta(ge=1)]


class _Outer(msgspec.Struct, forbid_unknown_fields=True):
    text: str = ""
    inner: _Inner | None = None
    many: list[_Inner] = []
    named: dict[Annotated[str, Meta(max_length=3)], bool] = {}


@pytest.mark.parametrize(
    ("body", "pointer", "detail"),
    [
        (b"5", "", "expected object, got integer"),
        (b'{"text":null}', "/text", "expected string, got null"),
        (b'{"inner":{}}', "/inner/howMany", "is missing"),
        (b'{"inner":{"howMany":0}}', "/inner/howMany", "expected integer >= 1"),
        (b'{"inner":{"howMany":true}}', "/inner/howMany", "expected integer, got boolean"),
        (b'{"inner":{"howMany":1,"a/b":2}}', "/inner/a~1b", "is not known here"),
        (b'{"inner":{"howMany":1,"`$.x`":2}}', "/inner/`$.x`", "is not known here"),
        (b'{"many":[{"howMany":1},{"howMany":"x"}]}', "/many/1/howMany", None),
        (b'{"named":{"abc":1}}', "/named", "expected boolean, got integer"),
        (b'{"named":{"abcd":true}}', "/named", "a name in it: expected string of length <= 3"),
    ],
)
def test_a_fault_is_told_with_its_place(body: bytes, pointer: str, detail: str | None) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=_Outer)
    fault = fault_of(caught.value)
    assert fault.pointer == pointer
    assert detail is None or fault.detail == detail
