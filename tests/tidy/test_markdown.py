"""The reader of documents finds what the tests of documents rest on."""

from tests.tidy import markdown

DOCUMENT = """\
# A `code` title, twice

See [the end](#the-end), `make check ARGS="-k x"` and ``tidings serve --dev``.

```sh
# Not a title; not a [link](nowhere.md)
TIDINGS_PORT=1 tidings publish order.shipped --data '{"a": 1}' | tidings events list
tidings deliveries \\
  list
```

````console
$ make demo
```
make nothing
````

## The end
## The end

[elsewhere]: other.md
"""


def test_titles_get_the_anchors_that_forges_give_them() -> None:
    assert [(found.level, found.anchor) for found in markdown.headings(DOCUMENT)] == [
        (1, "a-code-title-twice"),
        (2, "the-end"),
        (2, "the-end-1"),
    ]


def test_links_are_found_in_prose_and_not_in_code() -> None:
    assert list(markdown.links(DOCUMENT)) == [(3, "#the-end"), (21, "other.md")]


def test_commands_are_found_in_shell_blocks_and_between_backticks() -> None:
    found = [words for _, words in markdown.commands(DOCUMENT)]
    assert [words for words in found if words[0] in {"make", "tidings"}] == [
        ["make", "check", "ARGS=-k x"],
        ["tidings", "serve", "--dev"],
        ["tidings", "publish", "order.shipped", "--data", '{"a": 1}'],
        ["tidings", "events", "list"],
        ["tidings", "deliveries", "list"],
        ["make", "demo"],
    ]
