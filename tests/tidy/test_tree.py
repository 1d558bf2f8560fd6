"""A tree of the code in a document is made of the modules' own first lines.

A document shows one between `<!-- tree: src/tidings -->` and `<!-- end of tree -->`, in a code
block. When this test fails it prints the block as it should be.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.tidy.checkout import ROOT, documents, expect_none, named, syntax_tree, text

_MARK = re.compile(r"^<!-- tree: (\S+) -->$", re.MULTILINE)
_BLOCK = "<!-- tree: {folder} -->\n\n```text\n{tree}```\n\n<!-- end of tree -->\n"


def test_trees_in_documents_equal_the_code() -> None:
    expect_none(
        (
            f"{named(path)} should show:\n\n{block}"
            for path in documents()
            for block in _blocks(path)
            if block not in text(path)
        ),
        "The code has other modules, or they say something else:",
    )


def _blocks(document: Path) -> Iterator[str]:
    for folder in _MARK.findall(text(document)):
        yield _BLOCK.format(folder=folder, tree=_tree(ROOT / folder))


def _tree(folder: Path) -> str:
    entries = {
        f"{path.name}/" if path.is_dir() else path.name: _first_line(path)
        for path in sorted(folder.iterdir())
        if (path / "__init__.py").is_file() or (path.suffix == ".py" and path.stem != "__init__")
    }
    width = max(map(len, entries))
    return "".join(f"{name:<{width}}  {line}\n" for name, line in entries.items())


def _first_line(path: Path) -> str:
    module = path / "__init__.py" if path.is_dir() else path
    docstring = ast.get_docstring(syntax_tree(module))
    return (docstring or "").split("\n")[0]
