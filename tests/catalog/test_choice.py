"""The model that is taken where none was named."""

from msgspec.structs import replace

from shared.catalog.choice import cheapest
from shared.catalog.models import Capability, Modality
from tests.chat.builders import model_of


def test_the_cheapest_model_is_one_that_is_allowed_and_fit() -> None:
    dear, cheap = model_of(id="a/dear"), model_of(id="b/cheap", prompt_micros_per_mtok=1)
    thinks = replace(model_of(id="c/thinks", prompt_micros_per_mtok=0), capabilities=frozenset({Capability.REASONING}))
    models = [dear, cheap, thinks]

    assert cheapest(models, None, {Modality.TEXT}) == thinks
    assert cheapest(models, None, {Modality.TEXT}, without={Capability.REASONING}) == cheap
    assert cheapest(models, frozenset({"a/dear"}), {Modality.TEXT}) == dear
    assert cheapest(models, frozenset(), {Modality.TEXT}) is None
    assert cheapest(models, None, {Modality.VISION}) is None
