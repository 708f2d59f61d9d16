"""Credits as integers: 1 credit = 1,000,000 micros. No float ever carries an amount."""

from collections.abc import Sequence

CREDIT_MICROS = 1_000_000
AMOUNT_MICROS_MAX = 10**15
"""One thousand million credits: far above any posting, far below 2^53, so JSON readers that use doubles stay exact."""


def credits_to_micros(credits: int) -> int:
    """Whole credits as micros."""
    return credits * CREDIT_MICROS


def format_credits(micros: int) -> str:
    """Micros as a decimal number of credits, exact, without trailing zeros: 1_500_000 is "1.5"."""
    whole, fraction = divmod(abs(micros), CREDIT_MICROS)
    text = f"{whole}.{fraction:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if micros < 0 else text


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` by `weights`, largest remainder first; the parts always sum to the whole.

    Ties go to the earlier part, so a caller who lists the platform first leaves it the residue.
    """
    if total < 0 or not weights or min(weights) < 0 or sum(weights) == 0:
        raise ArithmeticError(f"cannot split {total} by {list(weights)}")
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts
