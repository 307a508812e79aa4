"""What a team would otherwise write, each peer in a directory and an environment of its own."""
