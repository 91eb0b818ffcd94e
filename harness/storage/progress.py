"""Says how far work is.

It lies in this room because downloads are the lowest thing in the house that takes its time.
"""

from __future__ import annotations

from dataclasses import dataclass


class Progress:
    """It is told how far work is; this one does nothing with it.

    Those who show it, or pass it on, override what they need.
    """

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """Take note of how much is done.

        Args:
            done: such as images or bytes.
            total: how many of them there are; None where that is not known.
            step: what is done, where the work has several steps.
        """

    def newest(self, text: str) -> None:
        """Take note of what is being done, or has just been done."""

    def say(self, sentence: str) -> None:
        """Pass a sentence on to the user."""


SILENT = Progress()


@dataclass(frozen=True)
class ProgressStep(Progress):
    """It is a step of something longer, which is told of it under the step's name."""

    whole: Progress
    name: str

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """See `Progress`."""
        self.whole.at(done, total, self.name)

    def newest(self, text: str) -> None:
        """See `Progress`."""
        self.whole.newest(text)

    def say(self, sentence: str) -> None:
        """See `Progress`."""
        self.whole.say(sentence)


@dataclass(frozen=True)
class ProgressShare(Progress):
    """It is one of several equal shares of a step, which is told how many are done.

    Example:
        >>> class Shown(Progress):
        ...     def at(self, done, total=None, step=""):
        ...         print(step, done, "of", total)
        >>> ProgressShare(Shown(), number=2, of=4, step="rounds").at(5, 10)
        rounds 2.5 of 4
    """

    whole: Progress
    number: int
    of: int
    step: str

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        """See `Progress`."""
        self.whole.at(self.number + done / max(total or 1, 1), self.of, self.step)

    def newest(self, text: str) -> None:
        """See `Progress`."""
        self.whole.newest(text)

    def say(self, sentence: str) -> None:
        """See `Progress`."""
        self.whole.say(sentence)
