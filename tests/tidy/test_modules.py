"""Every module says what it is for, and every rule has its tests."""

import ast

from tests.tidy.checkout import ROOT, SOURCE, expect_none, named, source_modules, syntax_tree


def test_every_module_says_what_it_is_for() -> None:
    expect_none(
        (named(path) for path in source_modules() if not ast.get_docstring(syntax_tree(path))),
        "Begin each of these with a docstring whose first line says what the module is for:",
    )


def test_every_rule_has_a_test_file_of_its_own() -> None:
    tested = {path.name for path in (ROOT / "tests" / "core").glob("test_*.py")}
    expect_none(
        (
            f"{named(path)} needs tests/core/test_{path.name}"
            for path in sorted((SOURCE / "core").glob("*.py"))
            if path.name != "__init__.py" and f"test_{path.name}" not in tested
        ),
        "A rule without a test is a wish:",
    )
