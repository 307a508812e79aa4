"""The local stack: what Clarion needs around it on one machine, and the demo that runs in it."""
