"""In which form a report is wanted, by the header `accept`: https://www.rfc-editor.org/rfc/rfc9110#name-accept"""

from typing import Literal

Format = Literal["json", "csv"]
RANGES_MAX = 20
"""Of one header; what comes after them is not read."""
_CSV, _JSON = ("text/csv", "text/*"), ("application/json", "application/*", "*/*")


def preferred_format(accepts: str) -> Format:
    """CSV where it is preferred, JSON where both are liked equally or nothing is said."""
    weights = [_weighed(one) for one in accepts.split(",")[:RANGES_MAX]]
    csv = max((weight for name, weight in weights if name in _CSV), default=0.0)
    json = max((weight for name, weight in weights if name in _JSON), default=0.0)
    return "csv" if csv > json else "json"


def _weighed(text: str) -> tuple[str, float]:
    """A media range and how much it is liked; one that is malformed is not."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    weight = 1.0
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                weight = float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, weight
