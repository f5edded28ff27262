"""Finding programs, lending them to another OS user, and who may enter what."""

from pathlib import Path

import pytest

from arqueduct.embedded import binaries, home
from arqueduct.embedded.account import Account, can_enter, can_reach, can_read, name_of
from arqueduct.embedded.binaries import Bundle, find_postgres, find_valkey, pgvector_version
from arqueduct.errors import SetupError

STRANGER = Account(name="stranger", uid=54321, gid=54321)


def installation(folder: Path, *, version: str, pgvector: str | None) -> Path:
    """Programs that say a version and can do nothing else."""
    (folder / "bin").mkdir(parents=True)
    for name in ("initdb", "postgres"):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    if pgvector is not None:
        control = folder / "share" / "extension" / "vector.control"
        control.parent.mkdir(parents=True)
        control.write_text(f"comment = 'vectors'\ndefault_version = '{pgvector}'\n")
    return folder / "bin"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Only these installations exist, in this order."""

    def having(**installations):
        folders = [installation(tmp_path / name, **what) for name, what in installations.items()]
        monkeypatch.setattr(binaries, "_postgres_candidates", lambda: iter([(folder, None) for folder in folders]))

    return having


def test_the_packages_on_this_machine_are_found():
    postgres = find_postgres()
    assert postgres.major >= 15
    assert pgvector_version(postgres.vector_control) >= (0, 8)
    assert (postgres.bin / "initdb").is_file()
    assert find_valkey().executable.is_file()


def test_the_first_installation_with_a_recent_pgvector_is_taken(machine, tmp_path):
    machine(
        bare={"version": "18.1", "pgvector": None},
        old={"version": "17.2", "pgvector": "0.7.4"},
        good={"version": "16.9 (Debian 16.9-1)", "pgvector": "0.8.1"},
        better={"version": "18.6", "pgvector": "0.8.6"},
    )
    found = find_postgres()
    assert (found.bin, found.major, found.version) == (tmp_path / "good" / "bin", 16, "16.9")


def test_a_major_version_can_be_insisted_on(machine):
    machine(one={"version": "17.2", "pgvector": "0.8.0"}, other={"version": "18beta1", "pgvector": "0.8.6"})
    assert find_postgres(18).version == "18beta1"


def test_an_error_says_what_was_found_and_why_it_does_not_do(machine):
    machine(bare={"version": "18.1", "pgvector": None}, old={"version": "17.2", "pgvector": "0.7.4"})
    with pytest.raises(SetupError, match=r"bare/bin has no pgvector; .*old/bin has pgvector 0\.7\.4.*DATABASE_URL"):
        find_postgres()


def test_programs_of_another_kind_of_machine_are_passed_over(machine, tmp_path):
    machine(foreign={"version": "18.1", "pgvector": "0.8.6"})
    (tmp_path / "foreign" / "bin" / "postgres").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(SetupError, match="does not run on this machine"):
        find_postgres()


@pytest.mark.parametrize(
    ("content", "version"),
    [("default_version = '0.8.6'", (0, 8, 6)), ("default_version='1.0'\n", (1, 0)), ("comment = 'none'", ())],
)
def test_pgvector_says_its_version_in_its_control_file(tmp_path, content, version):
    control = tmp_path / "vector.control"
    control.write_text(content)
    assert pgvector_version(control) == version


def test_another_user_is_stopped_by_any_closed_folder_above(tmp_path):
    tmp_path.chmod(0o755)
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    file = inner / "file"
    file.write_text("")
    open_before = can_reach(STRANGER, tmp_path)  # false where the machine's temporary folder is closed itself
    assert can_read(STRANGER, file) == open_before
    inner.parent.chmod(0o700)
    assert not can_read(STRANGER, file)
    assert not can_enter(STRANGER, inner)


def test_rights_are_those_of_owner_then_group_then_others(tmp_path):
    status = tmp_path.stat()
    owner = Account(name="owner", uid=status.st_uid or 54321, gid=54321)
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o700)
    assert can_enter(owner, folder) == (status.st_uid != 0)
    assert can_enter(Account(name="root", uid=0, gid=0), folder)


def test_a_user_without_a_name_is_called_by_number():
    assert name_of(54321) == "54321"


def test_programs_in_a_private_folder_are_copied_once_and_opened(tmp_path, monkeypatch):
    shelf = tmp_path / "shelf"
    monkeypatch.setattr(home, "SHELF", shelf)
    program = tmp_path / "site-packages" / "pack" / "bin" / "tool"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    library = tmp_path / "site-packages" / "pack.libs" / "lib.so"
    library.parent.mkdir(mode=0o700)
    library.write_text("code")
    library.chmod(0o600)
    bundle = Bundle(label="pack-1.0", base=tmp_path / "site-packages", parts=("pack", "pack.libs"))

    copy = home.borrow(bundle, program, program, STRANGER)

    assert copy == shelf / "programs" / "pack-1.0" / "pack" / "bin" / "tool"
    assert copy.stat().st_mode & 0o777 == 0o755
    assert (shelf / "programs" / "pack-1.0" / "pack.libs" / "lib.so").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in (shelf / "programs").iterdir()] == ["pack-1.0"]
    first = copy.stat().st_ino
    assert home.borrow(bundle, program, program, STRANGER).stat().st_ino == first


def test_programs_of_the_system_are_never_copied(tmp_path):
    program = tmp_path / "postgres"
    program.write_text("")
    program.chmod(0o700)
    tmp_path.chmod(0o700)
    with pytest.raises(SetupError, match=r"stranger.*cannot read"):
        home.borrow(None, program, program, STRANGER)
