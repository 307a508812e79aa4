"""Notifications as the platforms take them: what is built from one, and what a platform would refuse.

The workers build what they send here, and the server asks here when a campaign is saved: both see the same payload.
"""
