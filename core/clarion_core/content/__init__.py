"""Templates: compiled and checked when a campaign is saved, rendered when it is sent or previewed. One engine,
in a child process of whoever needs it.
"""
