"""Push notifications: FCM, APNs and Web Push."""

from clarion_workers.channels.push.apns import APNS, ApnsChannel
from clarion_workers.channels.push.fcm import FCM, FcmChannel
from clarion_workers.channels.push.message import Button, PushMessage
from clarion_workers.channels.push.web import WEB_PUSH, WebPushChannel

__all__ = ["APNS", "FCM", "WEB_PUSH", "ApnsChannel", "Button", "FcmChannel", "PushMessage", "WebPushChannel"]
