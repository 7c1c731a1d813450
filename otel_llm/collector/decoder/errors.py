"""What is wrong with a body that cannot be taken."""


class MalformedError(ValueError):
    """The body is no OTLP request of its signal.

    Attributes:
        where: the message or field, by its OTLP name.
        why: what is wrong with it.
    """

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class OversizeError(ValueError):
    """A request in JSON takes more than its limit as protobuf."""
