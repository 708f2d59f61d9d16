"""How Stripe says no."""


class StripeRefusal(Exception):
    """An answer that is an error, as Stripe words it."""

    def __init__(self, status: int, code: str, kind: str = "invalid_request_error") -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": f"Refused: {code}."}}
