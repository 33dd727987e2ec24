"""The one error that means: the user's input needs a change."""


class InputError(ValueError):
    """Input that cannot be studied; its one line says what was wrong and what to do."""
