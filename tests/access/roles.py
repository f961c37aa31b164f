"""The table of roles and categories as the design has it, for tests that compare: it is not read from the policy."""

from __future__ import annotations

from documents.categories import AccessCategory

CATEGORIES = tuple(AccessCategory)

# Role -> rights by category: N none, R read, P a part, O own items, W write, A administer.
TABLE = {
    role: tuple(rights.split())
    for role, rights in {
        "couple": "W A W W W W W W W",
        "planner": "W A W W W W W W W",
        "coordinator": "W R W N P+O R W W W",
        "venue": "P N P+O N P P P O O",
        "caterer": "P N P+O N P P+O P O O",
        "photographer": "P N P+O N P N N O O",
        "vendor": "P N P+O N N N N O O",
        "family": "R N P P+O P+O N W O N",
        "wedding_party": "R N P N P N N O N",
        "guest": "P N P N O O P O N",
    }.items()
}
ROLES = tuple(TABLE)
CELLS = [(role, category, TABLE[role][n]) for role in ROLES for n, category in enumerate(CATEGORIES)]
