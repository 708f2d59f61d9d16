"""How PayPal says no: https://developer.paypal.com/api/rest/responses/."""

import secrets


class PayPalRefusal(Exception):
    """An answer that is an error, as PayPal words it."""

    def __init__(self, status: int, name: str, issue: str | None = None) -> None:
        super().__init__(issue or name)
        self.status = status
        self.body = {
            "name": name,
            "message": f"Refused: {name}.",
            "debug_id": secrets.token_hex(7),
            "details": [{"issue": issue, "description": f"Refused: {issue}."}] if issue else [],
            "links": [],
        }


def absent() -> PayPalRefusal:
    """There is no such object, or it is somebody else's."""
    return PayPalRefusal(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")


def unprocessable(issue: str) -> PayPalRefusal:
    """What was asked cannot be done as things stand."""
    return PayPalRefusal(422, "UNPROCESSABLE_ENTITY", issue)


def malformed(issue: str) -> PayPalRefusal:
    """What was asked has the wrong form."""
    return PayPalRefusal(400, "INVALID_REQUEST", issue)
