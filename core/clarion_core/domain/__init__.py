"""The rules of campaigns, triggers and deliveries: values and decisions, no input or output, no clock.

Standard library only. Time and randomness are parameters; decisions are returned as values.
"""
