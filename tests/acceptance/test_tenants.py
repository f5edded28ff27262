"""A second tenant, made on the command line, and the wall between the two."""

import json
from uuid import uuid4

import httpx

from tests.acceptance.conftest import Running
from tests.acceptance.processes import arqueduct


def test_a_new_tenants_key_opens_its_own_and_nothing_else(running: Running) -> None:
    name = uuid4().hex
    new = json.loads(arqueduct("tenants", "create", name, "--data-dir", running.data_dir, "--json").stdout)
    assert {"tenant_id", "user_id", "api_key"} <= set(new)
    with (
        running.client() as mine,
        httpx.Client(base_url=f"{running.url}/api/v1", headers={"X-API-Key": new["api_key"]}) as theirs,
    ):
        document = mine.post("/documents", files={"file": ("a.txt", f"Mine alone {name}")}).json()["document"]
        assert mine.get(f"/documents/{document['id']}").status_code == 200
        assert theirs.get(f"/documents/{document['id']}").status_code == 404
        assert theirs.get("/documents").json()["items"] == []


def test_an_address_can_own_one_tenant_only_once(running: Running) -> None:
    address = f"{uuid4().hex}@example.org"
    arqueduct("tenants", "create", "one", "--email", address, "--data-dir", running.data_dir)
    again = arqueduct("tenants", "create", "two", "--email", address, "--data-dir", running.data_dir, check=False)
    assert again.returncode == 1
    assert f"There is a user with the address {address} already" in again.stderr
