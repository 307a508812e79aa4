"""`make bench`: what Clarion does a second, beside what the same machine does without it."""
