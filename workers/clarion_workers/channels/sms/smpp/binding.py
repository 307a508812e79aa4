"""From nothing to a link that is bound: TCP, TLS, bind_transceiver."""

from __future__ import annotations

import asyncio
import ssl

from clarion_core.domain.delivery import Reason
from clarion_core.domain.outcome import TransientFailure
from clarion_workers.channels.sms.smpp.config import SmppConfig
from clarion_workers.channels.sms.smpp.link import Link, ignore_loss, ignore_unit
from clarion_workers.channels.sms.smpp.pdu import Command, bind_body, packed
from clarion_workers.channels.sms.smpp.status import INVALID_COMMAND, OK, bind_refusal

BIND_SEQUENCE = 1


class NotBound(Exception):
    """No session; `outcome` is what that means for a message. Never permanent: the message is not at fault."""

    def __init__(self, outcome: TransientFailure) -> None:
        super().__init__(outcome.detail)
        self.outcome = outcome


async def bound_link(config: SmppConfig, tls: ssl.SSLContext | None) -> Link:
    """A link on which messages may be submitted. `NotBound` where there is none within `timeout_s`."""
    link = Link()
    answer: asyncio.Future[tuple[int, int]] = asyncio.get_running_loop().create_future()

    def on_unit(command: int, status: int, sequence: int, body: bytes) -> None:
        if answer.done():
            link.early.append((command, status, sequence, body))
        else:
            answer.set_result((command, status))

    def on_lost(detail: str) -> None:
        if not answer.done():
            answer.set_exception(_unreachable(detail))

    link.on_unit, link.on_lost = on_unit, on_lost
    try:
        async with asyncio.timeout(config.timeout_s):
            await _connect(config, link, tls)
            link.write(packed(Command.BIND_TRANSCEIVER, BIND_SEQUENCE, _credentials(config)))
            command, status = await answer
        _look(command, status)
        if link.over:
            raise _unreachable("the SMSC closed the connection")
    except BaseException as error:
        if not answer.cancel() and not answer.cancelled():
            answer.exception()  # known by now
        link.on_unit, link.on_lost = ignore_unit, ignore_loss
        if not link.over:
            link.abort("the bind failed")
        if isinstance(error, TimeoutError):
            raise _unreachable(f"not bound within {config.timeout_s:g} s") from None
        raise
    return link


async def _connect(config: SmppConfig, link: Link, tls: ssl.SSLContext | None) -> None:
    name = config.host if tls else None
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: link, config.host, config.port, ssl=tls, server_hostname=name
        )
    except ssl.SSLError as error:
        untrusted = TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=f"TLS failed: {error.reason}")
        raise NotBound(untrusted) from None
    except TimeoutError:
        raise
    except OSError as error:
        raise _unreachable(f"no connection: {type(error).__name__}") from None


def _credentials(config: SmppConfig) -> bytes:
    try:
        return bind_body(config.system_id, config.password, config.system_type)
    except ValueError:
        detail = "the credentials are not ASCII"
        raise NotBound(TransientFailure(reason=Reason.PROVIDER_CREDENTIALS, detail=detail)) from None


def _look(command: int, status: int) -> None:
    if command == Command.GENERIC_NACK:
        raise NotBound(bind_refusal(status or INVALID_COMMAND))
    if command != Command.BIND_TRANSCEIVER_RESP:
        raise _unreachable("the SMSC answered a bind with something else")
    if status != OK:
        raise NotBound(bind_refusal(status))


def _unreachable(detail: str) -> NotBound:
    return NotBound(TransientFailure(reason=Reason.PROVIDER_UNREACHABLE, detail=detail))
