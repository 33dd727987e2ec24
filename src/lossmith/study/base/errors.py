"""The one error that means: the user's input needs a change."""


class InputError(ValueError):
    """Input that cannot be studied; its one line says what was wrong and what to do."""


class StorageError(InputError):
    """A journal cannot be read or written now, for which no training is to blame."""
