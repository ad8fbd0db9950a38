"""The one error of the command line."""


class CommandError(Exception):
    """The command could not be done; one line that says why and what to do."""
