"""The records in Redis: the one place that knows keys and commands. Every change of several keys is one function."""
