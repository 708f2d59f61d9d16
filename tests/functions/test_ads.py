"""Rewarded ads over HTTP: the way of an ad that is watched, and the callbacks that earn nothing."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from google.cloud import firestore

from local.deployment import Deployment
from local.people import Person
from local.stack import Stack
from shared.base.economy import AD_TIERS, WELCOME_STAGES
from tests.clients import TIMEOUT_S, add_member, add_person, answer, balance_micros, call, refusal

WELCOME_MICROS = WELCOME_STAGES[0].amount_micros
TEXT, _, VIDEO = AD_TIERS


def start(deployment: Deployment, person: Person, tier: str = "text") -> requests.Response:
    return call(deployment, "POST", "/v1/ads", person.token, json={"tier": tier})


def tell(deployment: Deployment, query: str) -> requests.Response:
    """AdMob's request, with the query exactly as it is."""
    return requests.get(f"{deployment.url}/v1/ads/reward?{query}", timeout=TIMEOUT_S)


def test_an_ad_is_offered_watched_and_paid_for_once(
    deployment: Deployment, member: Person, documents: firestore.Client
) -> None:
    """Fifty deliveries of the callback at once; the app sees it on the view."""
    offer = answer(start(deployment, member, "video"))
    assert (offer["amount_micros"], offer["left_today"]) == (VIDEO.amount_micros, VIDEO.per_day_max - 1)
    query = deployment.admob.callback("video", offer["nonce"], user_id=member.uid)

    with ThreadPoolExecutor(50) as pool:
        told = list(pool.map(lambda _: answer(tell(deployment, query)), range(50)))

    assert {one["status"] for one in told} == {"granted"}
    assert balance_micros(deployment, member) == WELCOME_MICROS + VIDEO.amount_micros
    view = documents.document(f"ad_views/{offer['nonce']}").get().to_dict()
    assert view is not None
    assert (view["status"], view["user_id"], view["amount_micros"]) == ("granted", member.uid, VIDEO.amount_micros)


def test_the_next_ad_waits(deployment: Deployment, member: Person) -> None:
    """The app is told how long, before it loads one."""
    answer(start(deployment, member))

    response = start(deployment, member)
    assert refusal(response, 429) == "ad_too_soon"
    assert 0 < int(response.headers["retry-after-ms"]) <= 30_000


def test_what_google_signed_and_earns_nothing_is_not_sent_again(deployment: Deployment, member: Person) -> None:
    """A second reward for the nonce, and the dashboard's try: 200, and no credits."""
    nonce = answer(start(deployment, member))["nonce"]
    answer(tell(deployment, deployment.admob.callback("text", nonce)))

    second = answer(tell(deployment, deployment.admob.callback("text", nonce)))
    tried = answer(tell(deployment, deployment.admob.dashboard_try()))

    assert second == {"status": "refused", "refusal": "nonce_used"}
    assert tried == {"status": "tried", "refusal": None}
    assert balance_micros(deployment, member) == WELCOME_MICROS + TEXT.amount_micros


def test_what_google_did_not_sign_is_refused(deployment: Deployment, member: Person) -> None:
    """Forged, smuggled, given twice, by another publisher, with a plus for a space, empty."""
    nonce = answer(start(deployment, member))["nonce"]
    query = deployment.admob.callback("text", nonce)
    unit = "6125489951"
    smuggled = query.replace(f"ad_unit={unit}", f"ad_unit=777%26ad_unit%3D{unit}")

    assert refusal(tell(deployment, query.replace("reward_amount=1", "reward_amount=9")), 403) == "ad_callback_forged"
    assert refusal(tell(deployment, query.replace("%20", "+")), 403) == "ad_callback_forged"
    assert refusal(tell(deployment, query + "1"), 403) == "ad_callback_forged"
    assert refusal(tell(deployment, smuggled), 400) == "ad_callback_malformed"
    assert refusal(tell(deployment, f"custom_data={nonce}&{query}"), 400) == "ad_callback_malformed"
    assert refusal(tell(deployment, ""), 400) == "ad_callback_malformed"
    other = deployment.admob.callback("text", nonce, ad_unit="777")
    assert refusal(tell(deployment, other), 403) == "ad_unit_unknown"
    assert balance_micros(deployment, member) == WELCOME_MICROS
    assert answer(tell(deployment, query))["status"] == "granted"


def test_who_may_start(stack: Stack, deployment: Deployment, member: Person) -> None:
    """Somebody signed in, with a wallet, for a tier that there is."""
    assert refusal(call(deployment, "POST", "/v1/ads", json={"tier": "text"}), 401) == "missing_token"
    assert refusal(start(deployment, add_person(stack, deployment)), 404) == "account_not_found"
    assert refusal(start(deployment, member, "gold"), 400) == "invalid_request"


@pytest.fixture(scope="module")
def adless(stack: Stack) -> Iterator[Deployment]:
    """A deployment that was told of no ad units."""
    with Deployment(stack, f"demo-{secrets.token_hex(8)}", environment={"AD_UNITS": ""}, events=False) as started:
        yield started


def test_a_deployment_without_ad_units_has_no_ads(stack: Stack, adless: Deployment) -> None:
    """Not even for what is signed."""
    member = add_member(stack, adless)

    assert refusal(start(adless, member), 404) == "ads_not_offered"
    assert refusal(tell(adless, adless.admob.dashboard_try()), 404) == "ads_not_offered"
