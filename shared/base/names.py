"""Names that models, providers and users make up, fit to be shown."""


def seen(name: str) -> str:
    """The name with `_` for every sign that nobody sees: those end lines and headers, or turn the text around."""
    return "".join(sign if sign.isprintable() else "_" for sign in name)
