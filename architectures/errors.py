"""These errors are raised where the user can mend what went wrong.

Every message is one sentence that names the culprit and the mend. The command
line prints it and leaves with `exit_code`; anything else that is raised is a
defect of this project.
"""


class FacebenchError(Exception):
    """Base of all errors a user can act on."""

    exit_code = 2


class UnknownNameError(FacebenchError):
    """A name that is in no registry."""


class BadInputError(FacebenchError):
    """A file, option or array that is not what it should be."""


class UnavailableError(FacebenchError):
    """Something that is not installed or not reachable here."""


class WrongAnswerError(FacebenchError):
    """It is an artifact whose outputs differ from its reference."""


class RefusedError(FacebenchError):
    """It is a figure that the evidence at hand cannot support."""


class LostError(UnavailableError):
    """A device that was reached and answers no more."""
