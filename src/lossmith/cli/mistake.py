"""What a verb raises for a mistake of the user."""


class UserError(Exception):
    """A mistake of the user; its text is the one line to show."""
