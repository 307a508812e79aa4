"""Webhooks: calls of endpoints that belong to somebody else, signed as Standard Webhooks says."""
