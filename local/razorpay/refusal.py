"""How Razorpay says no."""


class RazorpayRefusal(Exception):
    """An answer that is an error, as Razorpay words it: one code for nearly all, and what was wrong in words."""

    def __init__(self, description: str, *, status: int = 400, field: str | None = None) -> None:
        super().__init__(description)
        self.status = status
        error: dict[str, object] = {
            "code": "BAD_REQUEST_ERROR",
            "description": description,
            "source": "business",
            "step": "payment_initiation",
            "reason": "input_validation_failed",
            "metadata": {},
        }
        self.body = {"error": error if field is None else {**error, "field": field}}
