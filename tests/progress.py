"""Someone who is told of progress, and remembers."""

from facebench.harness.storage.progress import Progress


class Told(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.reached: list[tuple[float, float | None, str]] = []
        self.news: list[str] = []
        self.said: list[str] = []

    def at(self, done: float, total: float | None = None, step: str = "") -> None:
        self.reached.append((done, total, step))

    def newest(self, text: str) -> None:
        self.news.append(text)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)
