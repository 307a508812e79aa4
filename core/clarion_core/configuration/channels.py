"""The channels of a configuration: their providers, how one is chosen, and how fast and how often it is tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from clarion_core.configuration.apns import ApnsPart
from clarion_core.configuration.fcm import FcmPart
from clarion_core.configuration.http_sms import HttpSmsPart
from clarion_core.configuration.letterhead import LetterheadPart
from clarion_core.configuration.mailgun import MailgunPart
from clarion_core.configuration.part import TOLD, Part, RetryPart, ThrottlePart, text
from clarion_core.configuration.ses import SesPart
from clarion_core.configuration.smpp import SmppPart
from clarion_core.configuration.sms import TextingPart
from clarion_core.configuration.smtp import SmtpPart
from clarion_core.configuration.twilio import TwilioPart
from clarion_core.configuration.webhook import WebhookPart, WebhookRetryPart
from clarion_core.configuration.webpush import WebPushPart
from clarion_core.domain.channel import ChannelConfiguration, Provider, Routing
from clarion_core.domain.medium import Medium
from clarion_core.domain.suppression import SOFT_BOUNCES, SOFT_BOUNCES_MAX

_THROTTLE = text("a mapping with rate_per_s and burst")


class ProviderPart(Part):
    """A provider: what is the same for every kind, and one key that is the kind."""

    name: Annotated[
        str,
        text("a lower-case letter, then up to 31 letters, digits and hyphens", pattern=r"^[a-z][a-z0-9-]{0,31}$"),
    ]
    weight: Annotated[int, Field(ge=1, le=1_000)] = 1
    throttle: Annotated[ThrottlePart | None, _THROTTLE] = None

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """The kinds of provider that this channel knows."""
        return tuple(name for name in cls.model_fields if name not in ProviderPart.model_fields)

    @property
    def kind(self) -> str:
        """Which kind it is."""
        return next(kind for kind in self.kinds() if getattr(self, kind) is not None)

    @property
    def settings(self) -> Part:
        """What is told of it besides."""
        return cast("Part", getattr(self, self.kind))

    @property
    def medium(self) -> Medium:
        """What it speaks."""
        return cast("Any", self.settings).MEDIUM  # type: ignore[no-any-return]  # every kind's part has one

    def provider(self) -> Provider:
        """The same in the domain's words."""
        return Provider(
            name=self.name, weight=self.weight, throttle=self.throttle.throttle() if self.throttle else None
        )

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in self.kinds()) != 1:
            raise PydanticCustomError(TOLD, "needs one of {kinds}", {"kinds": ", ".join(self.kinds())})
        return self


class EmailProvider(ProviderPart):
    """A provider of e-mail."""

    ses: Annotated[SesPart | None, text("a mapping with region, access_key_id and the like")] = None
    mailgun: Annotated[MailgunPart | None, text("a mapping with domain, api_key and the like")] = None
    smtp: Annotated[SmtpPart | None, text("a mapping with host, port, security and the like")] = None


class SmsProvider(ProviderPart):
    """A provider of text messages."""

    smpp: Annotated[SmppPart | None, text("a mapping with host, system_id, password and the like")] = None
    http: Annotated[HttpSmsPart | None, text("a mapping with url, auth, body and the like")] = None
    twilio: Annotated[TwilioPart | None, text("a mapping with account_sid, secret and the like")] = None


class PushProvider(ProviderPart):
    """A provider of push notifications; each kind is for one kind of device."""

    fcm: Annotated[FcmPart | None, text("a mapping with credentials and the like")] = None
    apns: Annotated[ApnsPart | None, text("a mapping with key, key_id, team_id, topic and the like")] = None
    webpush: Annotated[WebPushPart | None, text("a mapping with key, subject and the like")] = None


class WebhookProvider(ProviderPart):
    """What calls webhooks."""

    webhook: Annotated[WebhookPart | None, text("a mapping with secrets, endpoints, egress and the like")] = None


class ChannelPart(Part):
    """What is told of a channel, whichever."""

    CHANNEL: ClassVar[str]

    routing: Literal["order", "weight"] = "order"
    throttle: Annotated[ThrottlePart | None, _THROTTLE] = None
    retry: Annotated[RetryPart, text("a mapping with max_attempts, max_age_s and the like")] = RetryPart()
    soft_bounces: Annotated[int, Field(ge=1, le=SOFT_BOUNCES_MAX)] = SOFT_BOUNCES
    pass_over_complaints: bool = False
    providers: Annotated[list[ProviderPart], text("a list of 1 to 16 providers", min_length=1, max_length=16)]

    @field_validator("providers")
    @classmethod
    def _names_are_unique(cls, providers: list[ProviderPart]) -> list[ProviderPart]:
        names = [provider.name for provider in providers]
        for name in names:
            if names.count(name) > 1:
                raise PydanticCustomError(TOLD, "two are called {name}; each needs a name of its own", {"name": name})
        return providers

    def of_medium(self, medium: Medium) -> list[ProviderPart]:
        """The providers that speak this."""
        return [provider for provider in self.providers if provider.medium is medium]

    def configuration(self, medium: Medium) -> ChannelConfiguration:
        """The same in the domain's words, for one of the channel's media; it may have no provider for it."""
        return ChannelConfiguration(
            channel=self.CHANNEL,
            providers=tuple(provider.provider() for provider in self.of_medium(medium)),
            routing=Routing(self.routing),
            throttle=self.throttle.throttle() if self.throttle else None,
            retry=self.retry.policy(),
            soft_bounces=self.soft_bounces,
            pass_over_complaints=self.pass_over_complaints,
        )


class EmailPart(ChannelPart, LetterheadPart):
    """The e-mail channel."""

    CHANNEL: ClassVar = "email"

    providers: Annotated[list[EmailProvider], text("a list of 1 to 16 providers", min_length=1, max_length=16)]  # type: ignore[assignment]  # frozen: nobody adds another kind

    def configuration(self, medium: Medium) -> ChannelConfiguration:
        """As `ChannelPart.configuration`, with the seeds."""
        return replace(super().configuration(medium), seeds=self.seeds.seeds() if self.seeds else None)


class SmsPart(ChannelPart, TextingPart):
    """The SMS channel."""

    CHANNEL: ClassVar = "sms"

    providers: Annotated[list[SmsProvider], text("a list of 1 to 16 providers", min_length=1, max_length=16)]  # type: ignore[assignment]  # frozen: nobody adds another kind


class PushPart(ChannelPart):
    """The push channel."""

    CHANNEL: ClassVar = "push"

    providers: Annotated[list[PushProvider], text("a list of 1 to 16 providers", min_length=1, max_length=16)]  # type: ignore[assignment]  # frozen: nobody adds another kind


class WebhooksPart(ChannelPart):
    """The webhook channel. Failed calls are repeated as Standard Webhooks has it, unless it is told otherwise."""

    CHANNEL: ClassVar = "webhook"

    retry: Annotated[WebhookRetryPart, text("a mapping with max_attempts, schedule_s and the like")] = (
        WebhookRetryPart()
    )
    providers: Annotated[list[WebhookProvider], text("a list of 1 to 16 providers", min_length=1, max_length=16)]  # type: ignore[assignment]  # frozen: nobody adds another kind


class Channels(Part):
    """The whole file: a configuration for each channel that has one."""

    email: Annotated[EmailPart | None, text("a mapping with providers and the like")] = None
    sms: Annotated[SmsPart | None, text("a mapping with providers and the like")] = None
    push: Annotated[PushPart | None, text("a mapping with providers and the like")] = None
    webhook: Annotated[WebhooksPart | None, text("a mapping with providers and the like")] = None

    @model_validator(mode="after")
    def _has_a_channel(self) -> Self:
        if all(getattr(self, channel) is None for channel in type(self).model_fields):
            raise PydanticCustomError(TOLD, "needs one of {channels}", {"channels": ", ".join(type(self).model_fields)})
        return self


SETTINGS_ALONE = ChannelConfiguration(channel="email", providers=(Provider(name="smtp"),))
"""The e-mail channel where there is no file: one provider, which the CLARION_SMTP_* settings describe."""
