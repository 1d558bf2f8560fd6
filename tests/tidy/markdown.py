"""What a document says, as far as a test can hold it to that: titles, links, commands."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*(\S*)")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*$")
_CODE_SPAN = re.compile(r"(`+)(.+?)\1")
_LINK = re.compile(r"!?\[(?P<label>[^\]]*)\]\((?P<target>[^)\s]+)[^)]*\)")
_REFERENCE = re.compile(r"^\s*\[[^\]]+\]:\s*(\S+)")
_SHELLS = {"", "sh", "bash", "shell", "console"}
_COMMAND_ENDS = {"|", "||", "&", "&&", ";", "(", ")"}


@dataclass(frozen=True)
class Line:
    """One line of a document; `fence` is the language of the code block that it stands in."""

    number: int
    text: str
    fence: str | None


@dataclass(frozen=True)
class Heading:
    """A title, its depth and the anchor under which links find it."""

    level: int
    title: str
    anchor: str


def lines(document: str) -> Iterator[Line]:
    """The lines of a document without those that open and close its code blocks."""
    mark = fence = None
    for number, text in enumerate(document.splitlines(), start=1):
        edge = _FENCE.match(text)
        if edge and mark is None:
            mark, fence = edge.groups()
        elif edge and mark is not None and edge[1].startswith(mark) and not edge[2]:
            mark = fence = None
        else:
            yield Line(number, text, fence)


def headings(document: str) -> list[Heading]:
    found: list[Heading] = []
    for line in lines(document):
        if line.fence is None and (match := _HEADING.match(line.text)):
            anchor = _anchor(match[2])
            repeats = sum(heading.title == match[2] for heading in found)
            found.append(
                Heading(len(match[1]), match[2], f"{anchor}-{repeats}" if repeats else anchor)
            )
    return found


def links(document: str) -> Iterator[tuple[int, str]]:
    """The targets of a document's links, each with its line."""
    for line in lines(document):
        if line.fence is None:
            prose = _CODE_SPAN.sub("", line.text)
            for match in _LINK.finditer(prose):
                yield line.number, match["target"]
            if reference := _REFERENCE.match(prose):
                yield line.number, reference[1]


def commands(document: str) -> Iterator[tuple[int, list[str]]]:
    """Every command that a document shows, in a shell block or between backticks, as words."""
    for number, shown in _shown(document):
        for words in _simple_commands(shown):
            yield number, words


def _anchor(title: str) -> str:
    """The anchor that forges give a title."""
    plain = _LINK.sub(lambda match: match["label"], title).replace("`", "").lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _shown(document: str) -> Iterator[tuple[int, str]]:
    begun = ""
    for line in lines(document):
        if line.fence is None:
            for match in _CODE_SPAN.finditer(line.text):
                yield line.number, match[2]
        elif line.fence in _SHELLS and (line.fence != "console" or _is_typed(line.text, begun)):
            begun += line.text.removeprefix("$ ")
            if begun.endswith("\\"):
                begun = begun[:-1]
            else:
                yield line.number, begun
                begun = ""


def _is_typed(text: str, begun: str) -> bool:
    """In a console block the prompt tells what is typed from what is answered."""
    return bool(begun) or text.startswith("$ ")


def _simple_commands(shown: str) -> Iterator[list[str]]:
    """The parts of a command line between pipes and the like, without leading assignments."""
    lexer = shlex.shlex(shown, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # an unclosed quote: code of another kind, or a line of a longer text
        return
    command: list[str] = []
    for word in [*words, ";"]:
        if word in _COMMAND_ENDS:
            if command:
                yield command
            command = []
        elif command or not re.match(r"^\w+=", word):
            command.append(word)
