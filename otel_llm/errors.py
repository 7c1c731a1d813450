"""Every error this package raises on purpose.

    OtelLLMError
    ├── SettingError          a setting is wrong: names the setting, the problem, the remedy
    ├── JournalError          a journal cannot be opened or is not a journal
    ├── StoreError            ClickHouse refused, or cannot be reached or opened
    ├── AgentRunningError     a second agent on one journal directory
    ├── ProfileError          a profile cannot be read or imported
    ├── SpecError             a file of alert rules is wrong: names file, line and remedy
    └── MissingExtraError     an optional dependency is not installed

A message names the thing, says what is wrong with it and how to mend it.
"""


class OtelLLMError(Exception):
    """Base of every error raised by otel-llm itself."""


class SettingError(OtelLLMError):
    """A setting has a value that cannot be used."""

    def __init__(self, name: str, problem: str, remedy: str) -> None:
        super().__init__(f"{name}: {problem}. {remedy}{'' if remedy.endswith('?') else '.'}")
        self.name = name


class JournalError(OtelLLMError):
    """A journal cannot be created, opened or read as a journal."""


class StoreError(OtelLLMError):
    """The store refused a statement, or could not be reached or opened."""


class AgentRunningError(OtelLLMError):
    """Another agent already reads this journal directory."""


class ProfileError(OtelLLMError):
    """A file is no profile that can be read, or its kernels cannot be imported as asked."""


class SpecError(OtelLLMError):
    """A file of service level objectives or alert rules cannot be used.

    Args:
        file: the file.
        line: where in it, from 1.
        problem: what is wrong, without a full stop.
        remedy: how to mend it, without a full stop.
    """

    def __init__(self, file: str, line: int, problem: str, remedy: str) -> None:
        super().__init__(f"{file}:{line}: {problem}. {remedy}.")
        self.file = file
        self.line = line


class MissingExtraError(OtelLLMError):
    """An optional dependency is missing."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs more packages. Run: pip install 'otel-llm[{extra}]'.")
