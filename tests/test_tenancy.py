"""Every query on a table of tenants names its tenant. One that is for all tenants stands in a list, with its reason."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Table

from likeness.store import tables

PACKAGE = Path(tables.__file__).parents[1]
BELOW_ENTRIES = {"gallery_templates", "reindex_refusals"}
"""Tables whose rows belong to an entry, and so to its tenant."""
OWNED = {
    name
    for name, table in vars(tables).items()
    if isinstance(table, Table) and ("tenant_id" in table.c or name in BELOW_ENTRIES)
}
STATEMENTS = {"select", "update", "delete", "insert"}
CONDITIONS = {"where", "values", "join", "filter_by", "from_select", "select_from"}
NAMED = re.compile(r"tenant_id\b(?! is)")
AT_ITS_START = "who asks is not known yet: the row says whose it is"
FIRST_SELECTED = "the ids come from a query of the tenant, in the same transaction"
UPKEEP = "upkeep of all tenants"
FOR_ALL_TENANTS = {
    "access/repository.py:find_client": AT_ITS_START,
    "access/repository.py:clients_with_keys": AT_ITS_START,
    "access/repository.py:_change": FIRST_SELECTED,
    "access/repository.py:use_assertion": UPKEEP,
    "backup/creation.py:_is_named": "a backup has all tenants, and ids of photos are random",
    "console/accounts/repository.py:add_account": "the row that is stored has its tenant",
    "console/accounts/repository.py:begin_visit": "the row that is stored has its tenant; the end of old visits is upkeep",
    "console/accounts/repository.py:find_visit": AT_ITS_START,
    "console/accounts/repository.py:end_visit": AT_ITS_START,
    "deployment.py:_stored_keys": "the check of the master key",
    "gallery/idempotency.py:_advance": UPKEEP,
    "gallery/maintenance/photo_rows.py:forget_deletions": UPKEEP,
    "gallery/memory/plain.py:recorded_galleries": "all galleries are loaded at the start",
    "gallery/reindex/repository.py:_rows": "its callers add the tenant, or the server looks for its jobs",
    "gallery/reindex/repository.py:add_refusals": FIRST_SELECTED,
    "gallery/repository.py:drop_templates": FIRST_SELECTED,
    "gallery/repository.py:add_templates": FIRST_SELECTED,
    "gallery/repository.py:replace_template": FIRST_SELECTED,
    "gallery/repository.py:newest_key": "keys rise over all tenants",
    "gallery/repository.py:answering_packs": "the packs that a start loads",
    "results/repository.py:add_result": "the row that is stored has its tenant",
    "rotation/master_key.py:_wrap_all": "all wrapped keys get the new master key",
    "sessions/repository.py:add_session": "the row that is stored has its tenant",
    "sessions/repository.py:_changed": FIRST_SELECTED,
    "sessions/repository.py:remove_ended": UPKEEP,
    "sessions/repository.py:keep_attempts": "a server's own attempts",
    "sessions/velocity.py:forget_attempts": UPKEEP,
    "usage/repository.py:remove_usage": UPKEEP,
    "webhooks/repository.py:waiting": "a figure of the whole server",
    "webhooks/repository.py:remove_old": UPKEEP,
    "webhooks/repository.py:add_delivery": "the row that is stored has its tenant",
    "webhooks/repository.py:note_try": "the courier's own delivery",
}


@dataclass(frozen=True)
class Query:
    """A statement on tables of tenants, and what its conditions and values say, with the names that they use."""

    place: str
    tables: frozenset[str]
    conditions: str

    @property
    def names_its_tenant(self) -> bool:
        return NAMED.search(self.conditions) is not None


def queries_of(source: str, module: str) -> Iterator[Query]:
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    members = {
        node.name: ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STATEMENTS):
            continue
        found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)} & OWNED
        if not found:
            continue
        around: ast.AST = node
        function = "module"
        chain: list[ast.expr] = []
        while around in parents:
            above = parents[around]
            match above:
                case ast.Call(func=ast.Attribute(attr=name) as called) if called is around and name in CONDITIONS:
                    chain += [*above.args, *(each.value for each in above.keywords)]
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef) and function == "module":
                function = above.name
                scope: ast.AST = above
            around = above
        if function == "module":
            scope = tree
        assigned = _attributes(tree) | _assignments(tree) | (_assignments(scope) if scope is not tree else {})
        text = _expanded(" ".join(map(ast.unparse, chain)), assigned, members)
        later = _later_conditions(node, parents, scope)
        yield Query(f"{module}:{function}", frozenset(found), _expanded(text + later, assigned, members))


def _assignments(scope: ast.AST) -> dict[str, str]:
    """Give what each name of a scope is set to."""
    found: dict[str, str] = {}
    nodes = ast.walk(scope) if not isinstance(scope, ast.Module) else iter(scope.body)
    for node in nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name):
                        found[name.id] = found.get(name.id, "") + " " + ast.unparse(node.value)
    return found


def _attributes(tree: ast.Module) -> dict[str, str]:
    """Give what the attributes of a module's objects are set to."""
    return {
        target.attr: ast.unparse(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Attribute)
    }


def _later_conditions(node: ast.AST, parents: Mapping[ast.AST, ast.AST], scope: ast.AST) -> str:
    """Give the conditions that are added to a statement after it got a name: ``query.where(...)``, ``execute(query, values)``."""
    around = node
    while around in parents and not isinstance(around, ast.stmt):
        around = parents[around]
    if not isinstance(around, ast.Assign):
        return ""
    names = {name.id for target in around.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    texts = []
    for each in ast.walk(scope):
        if isinstance(each, ast.Call):
            used = {name.id for name in ast.walk(each) if isinstance(name, ast.Name)}
            if used & names:
                texts.append(ast.unparse(each))
    return " ".join(texts)


def _expanded(text: str, assigned: Mapping[str, str], members: Mapping[str, str], depth: int = 3) -> str:
    """Add what the names in a text stand for."""
    whole, known = text, set[str]()
    for _ in range(depth):
        names = set(re.findall(r"\b\w+\b", whole)) - known
        known |= names
        whole += " " + " ".join(source[name] for source in (assigned, members) for name in names if name in source)
    return whole


def every_query() -> list[Query]:
    return [
        query
        for file in sorted(PACKAGE.rglob("*.py"))
        if "migrations" not in file.parts and file.name != "tables.py"
        for query in queries_of(file.read_text(), str(file.relative_to(PACKAGE)))
    ]


def test_each_query_names_its_tenant_or_is_for_all() -> None:
    queries = every_query()
    assert len(queries) > 60
    bare = {query.place for query in queries if not query.names_its_tenant}
    assert bare - FOR_ALL_TENANTS.keys() == set()
    assert FOR_ALL_TENANTS.keys() - bare == set(), "these name their tenant, or are gone"


@pytest.mark.parametrize(
    "source",
    [
        "def f(c, name):\n return c.execute(select(gallery_entries).where(gallery_entries.c.id == name))",
        "def f(c, name):\n return c.execute(select(gallery_entries.c.tenant_id))",
        "def f(c, name):\n c.execute(delete(webhooks).where(webhooks.c.changed_at < 3))",
        "def f(c, tenant_id):\n c.execute(update(clients).values(name='x'))",
    ],
)
def test_a_query_without_its_tenant_is_found(source: str) -> None:
    assert [query.names_its_tenant for query in queries_of(source, "m")] == [False]


@pytest.mark.parametrize(
    "source",
    [
        "def f(c, t):\n c.execute(select(clients).where(clients.c.tenant_id == t, clients.c.id == 1))",
        "def f(c, t):\n mine = clients.c.tenant_id == t\n c.execute(select(clients).where(mine))",
        "class R:\n def _mine(self):\n  return clients.c.tenant_id == 1\n def f(self, c):\n  c.execute(delete(clients).where(self._mine))",
        "def f(c, t):\n c.execute(insert(clients).values(tenant_id=t))",
    ],
)
def test_a_query_with_its_tenant_is_known(source: str) -> None:
    if "insert" in source:
        source = source.replace("tenant_id=t", "**{'tenant_id': t}")
    assert [query.names_its_tenant for query in queries_of(source, "m")] == [True]
