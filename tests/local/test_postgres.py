"""The embedded PostgreSQL: reachable by its account, closed to others, and back after the worst ends."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest

from local.accounts import SetupError, can_reach
from local.children import tied
from local.postgres import PostgresServer, prepare, wheel_binaries

Start = Callable[[PostgresServer], "subprocess.Popen[bytes]"]


@pytest.fixture
def start(server_folder: Path) -> Iterator[Start]:
    """Start a prepared server and wait until it answers; whatever still runs is killed afterwards."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(server: PostgresServer) -> "subprocess.Popen[bytes]":
        command = tied(server.command(fsync="off"), account=server.account, death_signal=signal.SIGINT)
        process = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.append(process)
        while not server.answers():
            assert process.poll() is None, "PostgreSQL ended while starting"
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait(timeout=30)


def test_data_outlives_kill_9_and_the_lock_it_leaves(
    server_folder: Path, new_port: Callable[[], int], start: Start
) -> None:
    run = server_folder / "killed"
    server = prepare(run, new_port())
    process = start(server)
    server.query("create table kept (n int); insert into kept values (7)")
    process.kill()
    process.wait(timeout=30)
    assert (server.data / "postmaster.pid").exists()

    again = prepare(run, new_port())
    assert not (server.data / "postmaster.pid").exists()
    start(again)
    assert again.query("select n from kept") == "7"


def test_a_server_left_over_from_an_earlier_start_is_ended_first(
    server_folder: Path, new_port: Callable[[], int], start: Start
) -> None:
    run = server_folder / "left-over"
    first = start(prepare(run, new_port()))
    again = prepare(run, new_port())
    assert first.wait(timeout=30) == 0
    start(again)


def test_a_living_process_with_the_recorded_id_is_not_taken_for_the_server(
    server_folder: Path, new_port: Callable[[], int], start: Start
) -> None:
    run = server_folder / "recycled"
    server = prepare(run, new_port())
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n")
    start(prepare(run, new_port()))


def test_the_server_ends_with_its_starter(server_folder: Path, new_port: Callable[[], int]) -> None:
    server = prepare(server_folder / "orphan", new_port())
    starter = (
        "import subprocess, sys; from pathlib import Path; from local.children import tied;"
        "from local.accounts import service_account; from signal import SIGINT;"
        "line = tied(sys.argv[1:], account=service_account('vns-postgres'), death_signal=SIGINT);"
        "p = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd='/');"
        "print(p.pid, flush=True); p.wait()"
    )
    line = [sys.executable, "-c", starter, *server.command(fsync="off")]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        postmaster = psutil.Process(int(process.stdout.readline()))
        while not server.answers():
            assert process.poll() is None
        process.kill()
    assert not psutil.wait_procs([postmaster], timeout=60)[1]


def test_a_wrong_password_is_refused(postgres: PostgresServer) -> None:
    stranger = PostgresServer(
        binaries=postgres.binaries,
        data=postgres.data,
        account=postgres.account,
        port=postgres.port,
        password="guess",
    )
    with pytest.raises(SetupError, match="password authentication failed"):
        stranger.query("select 1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers under another account")
class TestUnderRoot:
    def test_the_server_runs_as_an_account_without_a_shell(self, postgres: PostgresServer) -> None:
        assert postgres.account is not None
        owner = (postgres.data / "PG_VERSION").stat()
        assert (owner.st_uid, stat.S_IMODE(postgres.data.stat().st_mode)) == (postgres.account.uid, 0o700)
        entry = subprocess.run(
            ["getent", "passwd", postgres.account.name], capture_output=True, text=True, check=True
        ).stdout
        assert entry.strip().endswith("/usr/sbin/nologin")

    def test_a_closed_parent_folder_stays_closed(self, new_port: Callable[[], int], start: Start) -> None:
        """As for a clone below /root: the data goes elsewhere, the folder keeps its mode."""
        closed = Path(mkdtemp(prefix="vns-closed-"))
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        server = prepare(closed / "var", new_port())
        place = server.data.parent
        try:
            assert place.parent == Path("/var/lib/vns")
            assert (place / "belongs-to").read_text().strip() == str(closed / "var/postgres")
            start(server).terminate()
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
            assert not can_reach(server.account, closed / "var")
            assert prepare(closed / "var", new_port()).data == server.data, "found again by a second start"
        finally:
            subprocess.run(["rm", "-rf", "--one-file-system", str(place), str(closed)], check=True)

    def test_binaries_out_of_reach_are_copied_whole(
        self, new_port: Callable[[], int], start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The virtual environment of a clone below /root: the copy runs without it, libraries included."""
        place = Path(mkdtemp(prefix="vns-copy-"))
        place.chmod(0o711)
        package = wheel_binaries().parent.parent
        closed = tmp_path / "site-packages"  # pytest's folders are closed to other accounts
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, closed / source.name, symlinks=True)
        hidden = closed / wheel_binaries().relative_to(package.parent)
        monkeypatch.setattr("local.postgres.wheel_binaries", lambda: hidden)
        monkeypatch.setattr("local.postgres.SHARED_PLACE", place)
        try:
            server = prepare(place / "run", new_port())
            shutil.rmtree(closed)
            assert server.binaries.is_relative_to(place)
            process = start(server)
            process.terminate()
            process.wait(timeout=30)
        finally:
            shutil.rmtree(place)
