"""The public door: HTTP and SMTP for those who tell what became of messages."""
