"""The page about access: its table is that of the policy, and what it names is there.

After a change of the policy: python -m tests.access.test_readme
"""

from __future__ import annotations

import re
from pathlib import Path

from crdt_server.access.policy import default_policy
from documents.categories import AccessCategory

README = Path(__file__).parents[2] / "crdt_server" / "access" / "README.md"
BLOCK = re.compile(r"<!-- table -->\n\n(?:\|.*\n)*\n?")


def table() -> str:
    titles = default_policy().titles
    head = ["role", *(titles[category] for category in AccessCategory)]
    rows = [head, ["---"] * len(head), *default_policy().table()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def with_new_table(page: str) -> str:
    assert len(BLOCK.findall(page)) == 1
    return BLOCK.sub(f"<!-- table -->\n\n{table()}\n", page)


def test_the_table_is_that_of_the_policy() -> None:
    assert with_new_table(README.read_text()) == README.read_text()


def test_what_the_page_links_to_is_there() -> None:
    for link in re.findall(r"\]\(([^)#]+)", README.read_text()):
        assert (README.parent / link).exists(), link


if __name__ == "__main__":
    README.write_text(with_new_table(README.read_text()))
