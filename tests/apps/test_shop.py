"""The shop's own code, as far as it needs neither nginx nor MariaDB: what reaches SQL, and what an order may say."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from .servers import APPS

SHOP = APPS / "shop"


def module(path: str, **stand_ins: Any) -> Any:
    """A file of the shop's under a name of its own, with modules that this Python does not have replaced."""
    spec = importlib.util.spec_from_file_location(f"shop_{Path(path).stem}", SHOP / path)
    assert spec and spec.loader
    made = importlib.util.module_from_spec(spec)
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        spec.loader.exec_module(made)
    finally:
        for name, known in before.items():
            if known is None:
                del sys.modules[name]
            else:
                sys.modules[name] = known
    return made


db = module("db/start.py")
api = module("api/server.py", store=types.ModuleType("store"))
migrate = module("api/migrate.py", store=types.SimpleNamespace(connected=None))
SECRETS = {"ROOT_PASSWORD": "root-canary", "APP_PASSWORD": "app-canary"}


@given(st.text().filter(lambda text: not set(text) & set("\n\r\0")))
def test_a_password_is_one_string_of_sql(password: str) -> None:
    quoted = db.quoted(password)
    body = re.fullmatch(r"'((?:[^'\\]|''|\\\\)*)'", quoted)
    assert body and body[1].replace("''", "'").replace("\\\\", "\\") == password


def test_a_password_that_would_break_the_line_is_refused() -> None:
    with pytest.raises(SystemExit, match="line break"):
        db.statements({**SECRETS, "APP_PASSWORD": "a\nDROP DATABASE shop"})


def test_the_passwords_are_in_memory_and_not_in_the_command() -> None:
    handle = db.in_memory(db.statements(SECRETS))
    text = os.pread(handle, 10_000, 0).decode()
    os.close(handle)
    assert "root-canary" in text and "app-canary" in text and all(line.endswith(";") for line in text.splitlines())
    argv = db.command(Path("/data/mariadb"), handle, {**SECRETS, "PORT": "3400", "BIND": "127.0.0.1"})
    assert "canary" not in " ".join(argv) and {"--port=3400", "--bind-address=127.0.0.1"} <= set(argv)
    assert argv[1] == "--no-defaults"  # the first option, or MariaDB passes over it


def test_a_database_that_is_not_given_its_passwords_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROOT_PASSWORD", raising=False)
    monkeypatch.setenv("APP_PASSWORD", "x")
    with pytest.raises(SystemExit, match="no ROOT_PASSWORD"):
        db.main()


def test_an_order_is_a_product_and_a_quantity() -> None:
    assert api.checked(b'{"product": 2, "quantity": 3}') == (2, 3)
    assert api.checked(b'{"product": 2}') == (2, 1)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x, max_size=2))
)
def test_whatever_else_it_says_is_refused(junk: Any) -> None:
    for wish in (junk, {"product": junk}, {"product": 1, "quantity": junk}):
        try:
            product, quantity = api.checked(json.dumps(wish).encode())
        except ValueError as error:
            assert str(error)
        else:
            assert type(product) is int and type(quantity) is int and 1 <= quantity <= api.MAX_QUANTITY


def test_what_the_page_and_nginx_name_is_there() -> None:
    page = (SHOP / "web/page/index.html").read_text()
    for name in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert (SHOP / "web/page" / name).is_file(), name
    script = (SHOP / "web/page/shop.js").read_text()
    assert set(re.findall(r'at\("([a-z-]+)"\)', script)) <= set(re.findall(r'id="([a-z-]+)"', page))
    assert "innerHTML" not in script
    filled = set(re.findall(r"s\|@([A-Z]+)@", (SHOP / "web/start.sh").read_text()))
    assert set(re.findall(r"@([A-Z]+)@", (SHOP / "web/nginx.conf").read_text())) == filled


def test_images_and_machines_have_the_same_packages() -> None:
    spec = (SHOP / "app.yaml").read_text()
    for name in ("web", "api", "db"):
        dockerfile = (SHOP / name / "Dockerfile").read_text().replace("\\\n", " ")
        (installed,) = re.findall(r"--no-install-recommends\s+([^&]+?)\s+&&", dockerfile)
        wanted = re.search(rf"^  {name}:.*?packages: \[([^\]]+)\]", spec, re.M | re.S)
        assert wanted and set(wanted[1].split(", ")) == set(installed.split()) - {"python3"}


def test_no_migration_is_empty() -> None:
    assert all(statement.strip() for statement in migrate.MIGRATIONS)
