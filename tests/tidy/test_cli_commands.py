"""Every `tidings` command that a document shows is one that the program would take."""

from tests.tidy import markdown
from tests.tidy.checkout import documents, expect_none, named, text
from tests.tidy.program import command_faults


def test_tidings_commands_in_documents_exist() -> None:
    expect_none(
        (
            f"{named(path, line)} {' '.join(words)}: {fault}"
            for path in documents()
            for line, words in markdown.commands(text(path))
            if words[0].rsplit("/")[-1] == "tidings"
            for fault in command_faults(words[1:])
        ),
        "The program would refuse these commands:",
    )
