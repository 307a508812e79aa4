"""Firebase Cloud Messaging, HTTP v1 (firebase.google.com/docs/reference/fcm/rest/v1)."""

from __future__ import annotations

import ssl
import time

import msgspec

from clarion_core.configuration.fcm import FcmPart, ServiceAccount, service_account
from clarion_core.domain.delivery import Reason
from clarion_core.domain.medium import Medium
from clarion_core.domain.outcome import Outcome, PermanentFailure, TransientFailure
from clarion_core.push import fcm
from clarion_core.push.limits import PAYLOAD_MAX, problems
from clarion_workers.channels import Found
from clarion_workers.channels.http import Answer, Body, HttpChannel, Request, unreached
from clarion_workers.channels.kind import Opening, ProviderKind, Supports
from clarion_workers.channels.push.fcm_answers import outcome_of
from clarion_workers.channels.push.google import AccessToken
from clarion_workers.channels.push.message import PushMessage

_NOBODY = msgspec.json.encode({"validate_only": True, "message": {"topic": "clarion-test"}})
"""A message to a topic that nobody has, and not to be delivered even so."""


class FcmChannel(HttpChannel[PushMessage]):
    """A `Channel` to a Firebase project, as a service account."""

    name = "fcm"

    def __init__(
        self,
        account: ServiceAccount,
        *,
        project: str = "",
        url: str = FcmPart.model_fields["url"].default,
        connections: int,
        timeout_s: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(connections=connections, timeout_s=timeout_s, tls=tls)
        self._url = f"{url}/v1/projects/{project or account.project_id}/messages:send"
        self._access = AccessToken(account, self._fetch)

    async def request(self, message: PushMessage) -> Request | PermanentFailure | TransientFailure:
        """The request for this message, with a token that is good."""
        built = fcm.message(message, token=message.token, lifetime_s=message.lifetime_s(time.monotonic()))
        body = msgspec.json.encode({"message": built})
        taken = len(body) if len(body) <= PAYLOAD_MAX else fcm.size(built)
        if found := problems(Medium.FCM, message, taken):
            field, words = found[0]
            return PermanentFailure(reason=Reason.MESSAGE_REFUSED, detail=f"{field} {words}".strip())
        if not message.token:
            return PermanentFailure(reason=Reason.RECIPIENT_REFUSED, detail="the device has no token")
        access = await self._access.get()
        if isinstance(access, TransientFailure):
            return access
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json; charset=UTF-8"}
        return Request(url=self._url, body=body, headers=headers)

    def outcome(self, message: PushMessage, answer: Answer) -> Outcome:
        """What FCM's answer means."""
        return outcome_of(answer)

    async def check(self) -> Found:
        """Ask for a new access token, and whether a message would be taken (`validate_only`). See `Channel.check`."""
        if self._closed:
            return Found(False, "the channel is closed")
        try:
            access = await self._access.renewed()
            if isinstance(access, TransientFailure):
                return Found(False, access.detail)
            headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json; charset=UTF-8"}
            request = Request(url=self._url, body=_NOBODY, headers=headers)
            answer = await self._ask(request, Body(request.body))
        except Exception as error:  # whatever it meets is what it found
            return unreached(error)
        if answer.status == 200:
            return Found(True, "the service account may send to the project")
        return Found(False, f"it refuses us: {outcome_of(answer).detail}")

    async def close(self) -> None:
        """Let go of kept connections; nothing is being sent when it is called."""
        self._access.close()
        await super().close()

    async def _ask(self, request: Request, body: Body) -> Answer:
        answer = await super()._ask(request, body)
        if answer.status == 401:
            self._access.forget(request.headers["Authorization"].removeprefix("Bearer "))
        return answer

    async def _fetch(self, request: Request) -> Answer:
        return await super()._ask(request, Body(request.body))


def _open(part: FcmPart, opening: Opening) -> FcmChannel:
    return FcmChannel(
        service_account(opening.secret(part.credentials)),
        project=part.project,
        url=part.url,
        connections=part.connections,
        timeout_s=part.timeout_s,
        tls=ssl.create_default_context(cafile=part.ca_file) if part.ca_file else None,
    )


FCM = ProviderKind(
    title="Firebase Cloud Messaging",
    medium=Medium.FCM,
    open=_open,
    supports=Supports(
        idempotency_key="the delivery's id as the tag: a second copy takes the first one's place",
        provider_id="the message's name",
        expiry="`android.ttl` and the TTL of Web Push",
        retry_after="`Retry-After`; a minute where a quota is used up and it says nothing",
        attachments="a picture's link",
    ),
    notes="HTTP v1, with a service account. A token that is UNREGISTERED ends as DEVICE_GONE.",
)
