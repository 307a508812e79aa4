"""Debian's Postfix as a submission server with TLS and passwords, in a directory of its own, without systemd."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from clarion_stack.local import free_port

NAME = "mx.clarion.example"
_READY_S = 30.0

_MAIN = """
compatibility_level = 3.6
queue_directory = {place}/queue
data_directory = {place}/data
maillog_file = {place}/mail.log
maillog_file_prefixes = {place}
myhostname = {name}
myorigin = $myhostname
mydestination =
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
# Everything goes to the one server behind it: what was sent as well as what comes back.
default_transport = smtp:[127.0.0.1]:{next_hop}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {place}/tls.pem
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = $myhostname
smtputf8_enable = yes
"""

_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup  unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr    unix n - n 1 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce  unix - - n - 0 bounce
defer   unix - - n - 0 bounce
trace   unix - - n - 0 bounce
smtp    unix - - n - - smtp
error   unix - - n - - error
retry   unix - - n - - error
tlsmgr  unix - - n 1000? 1 tlsmgr
anvil   unix - - n - 1 anvil
scache  unix - - n - 1 scache
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""

_SASL = """
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {place}/sasldb2
mech_list: {mechanisms}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """A running one. `ca_file` has the authority that vouches for it."""

    port: int
    ca_file: Path
    log: Path
    username: str = "clarion"
    password: str = "a password"


@asynccontextmanager
async def running(next_hop: int, mechanisms: str = "PLAIN LOGIN") -> AsyncIterator[Postfix]:
    """Start one that passes all mail on to this port, and stop it at the end."""
    place = Path(tempfile.mkdtemp(prefix="clarion-postfix-"))
    postfix = _prepared(place, next_hop, mechanisms)
    process = await asyncio.create_subprocess_exec(
        "postfix", "-c", str(place / "etc"), "start-fg", stdin=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        await asyncio.wait_for(_listens(process, postfix), _READY_S)
        yield postfix
    finally:
        if process.returncode is None:
            os.kill(int((place / "queue/pid/master.pid").read_text()), signal.SIGTERM)  # it ends its processes
        await process.wait()
        shutil.rmtree(place)


def _prepared(place: Path, next_hop: int, mechanisms: str) -> Postfix:
    place.chmod(0o755)  # its processes are other users'
    for name in ("etc/sasl", "queue", "data"):
        (place / name).mkdir(parents=True)
    shutil.chown(place / "data", "postfix")
    port = free_port()
    postfix = Postfix(port=port, ca_file=place / "ca.pem", log=place / "mail.log")
    values = {"place": place, "name": NAME, "next_hop": next_hop, "port": port, "mechanisms": mechanisms}
    (place / "etc/main.cf").write_text(_MAIN.format(**values))
    (place / "etc/master.cf").write_text(_MASTER.format(**values))
    (place / "etc/sasl/smtpd.conf").write_text(_SASL.format(**values))  # Debian's looks nowhere else
    ca = trustme.CA()
    ca.cert_pem.write_to_path(postfix.ca_file)
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(place / "tls.pem")
    subprocess.run(
        ["saslpasswd2", "-p", "-c", "-f", str(place / "sasldb2"), "-u", NAME, postfix.username],
        input=postfix.password.encode(),
        check=True,
    )
    os.chmod(place / "sasldb2", 0o640)
    shutil.chown(place / "sasldb2", "root", "postfix")
    return postfix


async def _listens(process: asyncio.subprocess.Process, postfix: Postfix) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", postfix.port)
        except ConnectionRefusedError:
            if process.returncode is not None:
                raise AssertionError("Postfix ended at once") from None
            await asyncio.sleep(0.05)  # it says nothing when it is ready
        else:
            writer.close()
            await writer.wait_closed()
            return
