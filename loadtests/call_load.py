"""sipp on both sides of an Asterisk, as load: a caller at a given rate, and one phone that answers everything."""

import csv
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

CALL_SECONDS = 0.3
_WORDS = 7  # of a line in sipp's list of messages
CALLER = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="caller">
<send retrans="500"><![CDATA[

INVITE sip:[field0]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field1]@carrier.example>;tag=[pid]c[call_number]
To: <sip:[field0]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:load@[local_ip]:[local_port]>
P-Asserted-Identity: <sip:[field1]@carrier.example>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 9 RTP/AVP 8
a=rtpmap:8 PCMA/8000

]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="183" optional="true"/>
<recv response="200" rrs="true"/>
<send><![CDATA[

ACK [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field1]@carrier.example>;tag=[pid]c[call_number]
To: <sip:[field0]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<pause milliseconds="300"/>
<send retrans="500"><![CDATA[

BYE [next_url] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:[field1]@carrier.example>;tag=[pid]c[call_number]
To: <sip:[field0]@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""
PHONE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="phone">
<recv request="INVITE"><action>
<ereg regexp="sip:([0-9]+)@" search_in="msg" assign_to="1,2"/>
<ereg regexp="sip:([0-9]+)@" search_in="hdr" header="From:" assign_to="3,4"/>
<log message="called [$2] by [$4]"/>
</action></recv>
<send retrans="500"><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]p[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:phone@[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 9 RTP/AVP 8
a=rtpmap:8 PCMA/8000

]]></send>
<recv request="ACK"/>
<recv request="BYE"/>
<send><![CDATA[

SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
<Reference variables="1,3"/>
</scenario>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the caller's side saw at one rate. `setups`: INVITE → 200 in milliseconds, of every call that got so far."""

    rate: int
    seconds: float
    successes: int
    failures: int
    retransmissions: int
    setups: tuple[float, ...] = field(repr=False)

    @property
    def median(self) -> float:
        return quantiles(self.setups, n=100, method="inclusive")[49] if len(self.setups) > 1 else float("inf")

    @property
    def p99(self) -> float:
        return quantiles(self.setups, n=100, method="inclusive")[98] if len(self.setups) > 1 else float("inf")

    @property
    def holds(self) -> bool:
        """The rate is below the knee."""
        return self.failures == 0 and self.retransmissions == 0 and self.p99 <= 100.0


class Load:
    """`folder` is for sipp's files; `asterisk` and `trunk` are ports of the loopback."""

    def __init__(self, folder: Path, *, asterisk: int, trunk: int) -> None:
        self._folder = folder
        self._asterisk = asterisk
        self._trunk = trunk
        self._runs = 0
        folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def phone(self) -> Iterator[None]:
        """Answers every call on the trunk and writes down who called whom."""
        scenario = self._folder / "phone.xml"
        scenario.write_text(PHONE)
        command = self._sipp(scenario, self._trunk, ["-trace_logs", "-log_file", str(self._log)])
        with subprocess.Popen(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as process:
            try:
                yield
            finally:
                process.kill()

    def connections(self) -> Counter[tuple[str, str]]:
        """How often which number was called by whom, as the phone saw it."""
        seen: Counter[tuple[str, str]] = Counter()
        for line in self._log.read_text().splitlines() if self._log.exists() else []:
            words = line.split()
            if len(words) == 4 and words[0] == "called":
                seen[(words[1], words[3])] += 1
        return seen

    def run(
        self, numbers: list[tuple[str, str]], rate: int, seconds: float, port: int, *, address: str = "127.0.0.1"
    ) -> Run:
        """Call `numbers` (dialled, caller) in turn at `rate` a second, from `port` of `address`, until the last call's
        end."""
        self._runs += 1
        name = f"caller-{self._runs}"
        scenario, users = self._folder / f"{name}.xml", self._folder / f"{name}.csv"
        scenario.write_text(CALLER)
        users.write_text("SEQUENTIAL\n" + "".join(f"{dialled};{caller}\n" for dialled, caller in numbers))
        total = round(rate * seconds)
        arguments = [
            "-inf",
            str(users),
            "-r",
            str(rate),
            "-m",
            str(total),
            "-l",
            "3000",
            "-trace_shortmsg",
        ]
        arguments += ["-trace_stat", "-stf", str(self._folder / f"{name}.stat"), "-fd", "1", "-recv_timeout", "20000"]
        command = self._sipp(scenario, port, [*arguments, f"127.0.0.1:{self._asterisk}"], address)
        started = time.monotonic()
        with subprocess.Popen(
            command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            process.wait(timeout=seconds + 120)
            took = time.monotonic() - started
        messages = self._folder / f"{name}_{process.pid}_shortmessages.log"
        try:
            setups = read_setups(messages) if messages.exists() else ()
        finally:
            messages.unlink(missing_ok=True)
        return _read_run(self._folder / f"{name}.stat", setups, rate, took, total)

    @property
    def _log(self) -> Path:
        return self._folder / "phone.log"

    def _sipp(self, scenario: Path, port: int, arguments: list[str], address: str = "127.0.0.1") -> list[str]:
        return ["sipp", "-sf", str(scenario), "-i", address, "-p", str(port), "-nostdin", *arguments]


def read_setups(messages: Path) -> tuple[float, ...]:
    """Milliseconds from the first INVITE of each call to its 200, from sipp's list of messages.

    sipp's own response times come from a clock that moves with the kernel's tick, mostly every 4 ms; what it writes
    beside each message is the time to the microsecond.
    """
    sent: dict[str, float] = {}
    setups: list[float] = []
    with messages.open() as file:
        for line in file:
            words = line.rstrip("\n").split("\t")
            if len(words) != _WORDS or words[5] != "CSeq:1 INVITE":
                continue
            _, _, at, way, call, _, first_line = words
            if way == "S":
                sent.setdefault(call, float(at))
            elif first_line.startswith("SIP/2.0 200 ") and call in sent:
                setups.append((float(at) - sent.pop(call)) * 1000)
    return tuple(setups)


def _read_run(stat: Path, setups: tuple[float, ...], rate: int, took: float, total: int) -> Run:
    with stat.open() as file:
        last = list(csv.DictReader(file, delimiter=";"))[-1]
    successes = int(last["SuccessfulCall(C)"])
    return Run(
        rate=rate,
        seconds=took,
        successes=successes,
        failures=total - successes,
        retransmissions=int(last["Retransmissions(C)"]),
        setups=setups,
    )
