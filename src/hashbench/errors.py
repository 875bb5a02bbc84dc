"""The one exception a user is meant to see."""


class HashbenchError(Exception):
    """A mistake the user can mend: one sentence that names what, where, the allowed values and the remedy.

    The command line prints it without a traceback and exits with status 2.
    """
