"""What goes wrong in the local stack and a person can mend."""


class StackError(Exception):
    """The stack can't run; the message is one line that says what to do."""
