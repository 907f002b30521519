"""The page on standards claims nothing without a test, and leaves out nothing that ASVS asks."""

import ast
import re
import tomllib
from collections.abc import Iterator
from contextlib import closing
from functools import cache, partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, func, select

from likeness.audit.actions import Action
from likeness.console.accounts.service import IDLE_SECONDS, VISIT_SECONDS
from likeness.deployment import initialise, open_deployment
from likeness.store.tables import accounts, clients, console_visits, tenants
from likeness.store.tables import metadata as tables
from servers import test_settings

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "likeness"
STATIC = PACKAGE / "static"
PAGE = (REPOSITORY / "docs" / "standards.md").read_text()
STATES = ("met", "operator", "not met", "n/a")
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")

# The level of each requirement of OWASP ASVS 5.0.0, section by section: V1.1.1 is of level 2.
PUBLISHED = """
V1.1 22 V1.2 1111122223 V1.3 112222222223 V1.4 222 V1.5 123
V2.1 122 V2.2 112 V2.3 12223 V2.4 23
V3.1 3 V3.2 113 V3.3 12223 V3.4 11222233 V3.5 11122333 V3.6 3 V3.7 22333
V4.1 12233 V4.2 23333 V4.3 22 V4.4 1222
V5.1 2 V5.2 112333 V5.3 113 V5.4 222
V6.1 122 V6.2 111111112222 V6.3 11223333 V6.4 112233 V6.5 22222333 V6.6 2223 V6.7 33 V6.8 2222
V7.1 222 V7.2 1111 V7.3 22 V7.4 11222 V7.5 223 V7.6 22
V8.1 1233 V8.2 1123 V8.3 133 V8.4 23
V9.1 111 V9.2 1222
V10.1 22 V10.2 223 V10.3 22223 V10.4 1111122222233333 V10.5 22222 V10.6 22 V10.7 222
V11.1 2233 V11.2 22233 V11.3 11233 V11.4 1222 V11.5 23 V11.6 23 V11.7 33
V12.1 12233 V12.2 11 V12.3 22223
V13.1 2333 V13.2 222223 V13.3 2233 V13.4 1222233
V14.1 22 V14.2 12223333 V14.3 122
V15.1 12233 V15.2 12233 V15.3 1222222 V15.4 3333
V16.1 2 V16.2 22222 V16.3 2222 V16.4 222 V16.5 2223
V17.1 23 V17.2 22223333 V17.3 22
"""
ARTICLES = {"5", "9", "15", "17", "20", "25", "30", "32", "33", "35"}
PROPERTIES = {"irreversibility", "unlinkability", "renewability", "confidentiality", "integrity"}
CRYPTOGRAPHY = {"argon2", "cryptography", "hashlib", "hmac", "joserfc", "pyrage", "secrets"}


def published() -> dict[str, str]:
    """Give the level of each requirement by its id."""
    words = PUBLISHED.split()
    sections = zip(words[::2], words[1::2], strict=True)
    return {f"{section}.{number}": level for section, levels in sections for number, level in enumerate(levels, 1)}


def rows(title: str) -> Iterator[list[str]]:
    """Give the cells of the rows of the tables below a title of the second level."""
    part = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    for line in part.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] not in {"id", "property", "article", "class", "use"}:
            yield [*cells]


def claims() -> list[tuple[str, str, str]]:
    """Give the name, the state and the reason of each row of the three standards."""
    mapped = [*rows("OWASP ASVS 5.0.0"), *rows("ISO/IEC 24745"), *rows("GDPR")]
    return [(cells[0], cells[-2], cells[-1]) for cells in mapped if not set(cells[0]) <= {"-", " "}]


@cache
def functions(path: str) -> frozenset[str]:
    """Give the tests of a file below ``tests``."""
    file = REPOSITORY / "tests" / path
    found = ast.parse(file.read_text()).body if file.exists() else []
    return frozenset(each.name for each in found if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))


def modules() -> dict[str, ast.Module]:
    """Give the package's modules by their path."""
    return {str(path.relative_to(PACKAGE)): ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")}


def test_the_published_list_is_whole() -> None:
    levels = [*published().values()]
    assert (levels.count("1"), levels.count("2"), levels.count("3"), len(levels)) == (70, 183, 92, 345)


def test_every_requirement_of_levels_1_and_2_has_a_row() -> None:
    mapped = [(cells[0], cells[1]) for cells in rows("OWASP ASVS 5.0.0") if cells[0].startswith("V")]
    assert mapped == [(name, level) for name, level in published().items() if level in "12"]


def test_every_article_and_every_property_has_a_row() -> None:
    assert {cells[0].split(" ")[0].rstrip(",") for cells in rows("GDPR")} >= ARTICLES
    assert {cells[0] for cells in rows("ISO/IEC 24745")} >= PROPERTIES


def test_every_row_has_a_state_and_a_reason() -> None:
    assert [row for row in claims() if row[1] not in STATES or len(row[2]) < 8] == []


def test_what_is_met_names_a_test() -> None:
    assert [name for name, state, reason in claims() if state == "met" and not TEST.search(reason)] == []


def test_every_test_that_is_named_exists() -> None:
    named = TEST.findall(PAGE)
    assert PAGE.count(".py::") == len(named), "a test has another form"
    assert len(named) > 200
    assert sorted({f"{path}::{test}" for path, test in named if test not in functions(path)}) == []


def test_every_table_is_in_a_class() -> None:
    named = [name for cells in rows("Kinds of data") for name in re.findall(r"`(\w+)`", cells[1])]
    assert len(tables.tables) > 20
    assert sorted(named) == sorted([*tables.tables, "sealed_template", "face_sessions"])  # it has data of two classes


def test_every_use_of_cryptography_is_in_the_inventory() -> None:
    using = {path for path, module in modules().items() if imported(module) & CRYPTOGRAPHY}
    named = [name for cells in rows("Keys and algorithms") for name in re.findall(r"`([\w/]+\.py)`", cells[3])]
    assert len(using) > 20
    assert sorted(named) == sorted(using)


def imported(module: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_every_act_of_the_audit_trail_is_described() -> None:
    trail = (REPOSITORY / "docs" / "security.md").read_text().split("\n## Audit trail\n")[1].split("\n## ")[0]
    assert [action for action in Action if f"`{action}`" not in trail] == []


def test_the_times_of_a_visit_are_documented() -> None:
    accounts_part = (REPOSITORY / "docs" / "console.md").read_text().split("\n## Accounts\n")[1]
    assert (VISIT_SECONDS, IDLE_SECONDS) == (8 * 3600, 30 * 60)
    assert "A visit ends after eight hours, or half an hour after its last request." in " ".join(accounts_part.split())
    assert "A person may have any number of visits at once." in " ".join(accounts_part.split())


def test_no_code_is_made_at_run_time() -> None:
    for path, module in modules().items():
        for call in (node for node in ast.walk(module) if isinstance(node, ast.Call)):
            name = ast.unparse(call.func)
            assert name not in {"eval", "exec", "compile", "jinja2.Template", "os.system"}, path
            assert not any(each.arg == "shell" for each in call.keywords), path
            if re.fullmatch(r"log\.(debug|info|warning|error|critical|exception)", name):
                assert isinstance(call.args[0], ast.Constant), f"{path}: the format of a line is made: {name}"


@pytest.mark.parametrize("writer", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
def test_scripts_write_no_markup(writer: str) -> None:
    scripts = own_scripts()
    assert len(scripts) > 10
    assert [path for path, script in scripts.items() if writer in script] == []


def own_scripts() -> dict[str, str]:
    """Give the scripts that are ours, without Swagger UI."""
    paths = [path for path in STATIC.rglob("*.js") if "swagger" not in str(path)]
    return {str(path.relative_to(STATIC)): path.read_text() for path in paths}


def test_the_browsers_storage_has_one_use() -> None:
    kinds = re.compile(r"localStorage|indexedDB|document\.cookie|caches\.|sessionStorage\.setItem\([^)]*\)")
    assert {path: kinds.findall(script) for path, script in own_scripts().items() if kinds.search(script)} == {
        "face-session/transport.js": ["sessionStorage.setItem(key, device)"]
    }


def test_types_are_checked_strictly() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]
    assert settings["mypy"]["strict"] is True
    assert "src/likeness" in settings["mypy"]["files"]
    assert settings["ruff"]["lint"]["select"] == ["ALL"]


def test_a_new_deployment_lets_nobody_in(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    initialise(settings)
    with closing(open_deployment(settings)) as deployment:
        for table in (tenants, clients, accounts, console_visits):
            assert deployment.database.read_now(partial(rows_of, table=table)) == 0, table.name


def rows_of(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
