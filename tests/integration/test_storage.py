"""The storage on a real disk and in memory."""

import asyncio
import hashlib
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from arqueduct.errors import DependencyUnavailable, NotFound, SetupError
from arqueduct.storage import Storage

KEY = "tenants/t/blobs/b/original"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return Storage.open("memory:///" if request.param == "memory" else (tmp_path / "new" / "store").as_uri())


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "source"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("content", [b"", b"short", os.urandom(20 * 2**20)], ids=["empty", "short", "in parts"])
async def test_a_file_comes_back_as_it_went(
    storage: Storage, file_of: Callable[[bytes], Path], tmp_path: Path, content: bytes
) -> None:
    await storage.put_file(KEY, file_of(content))
    heard: list[int] = []
    checksum = await storage.get_file(KEY, tmp_path / "back", heard.append)
    assert (tmp_path / "back").read_bytes() == content
    assert checksum == hashlib.sha256(content).hexdigest()
    assert await storage.size(KEY) == len(content)
    assert heard == sorted(heard)
    assert not content or heard[-1] == len(content)


async def test_a_second_upload_replaces_the_first(
    storage: Storage, file_of: Callable[[bytes], Path], tmp_path: Path
) -> None:
    await storage.put_file(KEY, file_of(b"first, and longer"))
    await storage.put_file(KEY, file_of(b"second"))
    await storage.get_file(KEY, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"second"


async def test_what_is_not_there(storage: Storage, tmp_path: Path) -> None:
    assert await storage.size(KEY) is None
    with pytest.raises(NotFound, match=KEY):
        await storage.get_file(KEY, tmp_path / "back")
    with pytest.raises(NotFound):
        await anext(aiter(storage.stream(KEY)))
    assert not {"back", "back.part"} & names(tmp_path)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(0, None, b"0123456789"), (4, None, b"456789"), (4, 6, b"45"), (8, 99, b"89"), (4, 4, b""), (0, 1, b"0")],
)
async def test_ranges(
    storage: Storage, file_of: Callable[[bytes], Path], start: int, end: int | None, expected: bytes
) -> None:
    await storage.put_file(KEY, file_of(b"0123456789"))
    assert b"".join([piece async for piece in storage.stream(KEY, start=start, end=end)]) == expected


async def test_deleting_a_prefix_takes_all_below_it_and_nothing_beside_it(
    storage: Storage, file_of: Callable[[bytes], Path]
) -> None:
    for key in ("a/b/original", "a/b/text/one", "a/b/text/two", "a/bc/original"):
        await storage.put_file(key, file_of(b"x"))
    assert await storage.delete_prefix("a/b") == 3
    assert await storage.delete_prefix("a/b") == 0
    assert await storage.size("a/b/text/one") is None
    assert await storage.size("a/bc/original") == 1


async def test_a_prefix_may_be_a_file_and_there_may_be_thousands(
    storage: Storage, file_of: Callable[[bytes], Path]
) -> None:
    source = file_of(b"x")
    await asyncio.gather(*[storage.put_file(f"a/many/{number}", source) for number in range(1100)])
    assert await storage.delete_prefix("a/many/7") == 1
    assert await storage.delete_prefix("a/many") == 1099


async def test_two_deletions_at_once_both_succeed(storage: Storage, file_of: Callable[[bytes], Path]) -> None:
    for number in range(50):
        await storage.put_file(f"a/b/{number}", file_of(b"x"))
    await asyncio.gather(storage.delete_prefix("a/b"), storage.delete_prefix("a/b"))
    assert await storage.delete_prefix("a") == 0


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", "a/./b", ".a", "a b", "a\0", "a#1", "ä"])
async def test_no_key_climbs_out(storage: Storage, tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="not a key"):
        await storage.size(key)
    with pytest.raises(ValueError, match="not a key"):
        await storage.put_file(key, tmp_path)
    with pytest.raises(ValueError, match="not a key"):
        await storage.delete_prefix(key)


async def test_a_listing_has_every_file_once_with_its_size_and_time(
    storage: Storage, file_of: Callable[[bytes], Path]
) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    source = file_of(b"four")
    wanted = {f"a/{number}/original" for number in range(1100)}
    await asyncio.gather(*[storage.put_file(key, source) for key in [*wanted, "ab/original"]])
    pages = [page async for page in storage.pages("a")]
    files = [file for page in pages for file in page]
    assert len(pages) > 1
    assert sorted(file.key for file in files) == sorted(wanted)
    assert {file.size for file in files} == {4}
    assert all(before < file.modified < datetime.now(UTC) + timedelta(minutes=1) for file in files)


async def test_where_a_listing_has_an_order_it_goes_on_behind_a_key(
    storage: Storage, file_of: Callable[[bytes], Path]
) -> None:
    keys = [f"a/{number}/original" for number in range(9)]
    for key in reversed(keys):
        await storage.put_file(key, file_of(b"four"))
    found = [file.key for page in [page async for page in storage.pages("a", after=keys[4])] for file in page]
    if storage.is_in_order:
        assert found == keys[5:]
    else:
        assert sorted(found) == keys


async def test_a_listing_of_nothing_is_empty(storage: Storage) -> None:
    assert [page async for page in storage.pages("nothing")] == []


async def test_files_are_deleted_by_name_and_those_that_are_gone_are_not_missed(
    storage: Storage, file_of: Callable[[bytes], Path]
) -> None:
    paths = [f"a/{number}/original" for number in range(5)]
    for key in paths:
        await storage.put_file(key, file_of(b"x"))
    await storage.delete(paths[:2])
    await storage.delete(paths[:4])
    await storage.delete([])
    assert [await storage.size(key) for key in paths] == [None, None, None, None, 1]


async def test_halves_leave_with_the_folders_that_only_they_need(
    tmp_path: Path, file_of: Callable[[bytes], Path]
) -> None:
    root = tmp_path / "store"
    storage = Storage.open(root.as_uri())
    await storage.put_file(KEY, file_of(b"x"))
    (root / "tenants/t/blobs/b/original#2").write_bytes(b"half")
    (root / "tenants/t/blobs/c").mkdir()
    (root / "tenants/t/blobs/c/original#1").write_bytes(b"another")
    assert await storage.delete_halves(datetime.now(UTC) - timedelta(minutes=1)) == []
    assert sorted(await storage.delete_halves(datetime.now(UTC) + timedelta(minutes=1))) == [4, 7]
    assert names(root / "tenants/t/blobs") == {"b"}
    assert await storage.size(KEY) == 1


async def test_a_healthy_storage_passes_the_check(storage: Storage) -> None:
    await storage.check()


async def test_local_folders_are_private_and_leave_with_their_last_file(
    tmp_path: Path, file_of: Callable[[bytes], Path]
) -> None:
    root = tmp_path / "new" / "a store"
    storage = Storage.open(root.as_uri())
    await storage.put_file(KEY, file_of(b"x"))
    for folder in (root.parent, root, root / "tenants", root / "tenants/t/blobs/b"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (root / "tenants/t/blobs/b/original#1").write_bytes(b"half of an upload that was killed")
    assert await storage.delete_prefix("tenants/t/blobs/b") == 1
    assert not (root / "tenants/t/blobs/b").exists()
    await storage.check()


async def test_a_cancelled_upload_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        file.truncate(256 * 2**20)
    root = tmp_path / "store"
    storage = Storage.open(root.as_uri())
    upload = asyncio.ensure_future(storage.put_file(KEY, source))
    async with asyncio.timeout(10):
        while not any(path.is_file() for path in root.rglob("*")):
            await asyncio.sleep(0)
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await storage.size(KEY) is None


async def test_a_folder_that_went_away_is_a_matter_for_the_administrator(tmp_path: Path) -> None:
    storage = Storage.open((tmp_path / "store").as_uri())
    (tmp_path / "store").rmdir()
    with pytest.raises(SetupError, match="does not exist"):
        await storage.check()


async def test_a_full_or_broken_disk_is_no_fault_of_the_job(tmp_path: Path, file_of: Callable[[bytes], Path]) -> None:
    storage = Storage.open((tmp_path / "store").as_uri())
    (tmp_path / "store" / "tenants").write_bytes(b"a file where a folder should be")
    with pytest.raises(DependencyUnavailable, match="cannot serve"):
        await storage.put_file(KEY, file_of(b"x"))


@pytest.mark.parametrize("url", ["ftp://host/x", "/plain/path", "file:///", "file://host/x", "s3://", ""])
def test_an_address_that_means_nothing_is_refused(url: str) -> None:
    with pytest.raises(SetupError, match="ARQUEDUCT_STORAGE_URL"):
        Storage.open(url)


async def test_a_bucket_nobody_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    # port 9 (discard) of this machine: refused at once
    for name, value in {
        "AWS_ENDPOINT": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    storage = Storage.open("s3://bucket/prefix")
    with pytest.raises(DependencyUnavailable, match=r"does not answer.*sending request") as caught:
        await storage.check()
    assert "very-secret" not in caught.value.message
