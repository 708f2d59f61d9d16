"""Any web page may call us with a token of its own, and read what we answer."""

import re

import requests

from local.deployment import Deployment
from local.node import REPOSITORY
from shared.web.auth import DEVICE_HEADER
from shared.web.cors import SHOWN_HEADERS

PAGE = {"origin": "https://app.example"}


def test_every_header_of_ours_is_shown_to_pages() -> None:
    """All that functions answer with; a browser hides from a page what is not named to it."""
    sources = [source for folder in ("functions", "shared") for source in (REPOSITORY / folder).rglob("*.py")]
    ours = {name for source in sources for name in re.findall(r'"(x-credence-[a-z-]+)"', source.read_text())}

    shown = set(SHOWN_HEADERS.split(", "))

    assert ours - {DEVICE_HEADER} <= shown
    assert {"location", "content-disposition"} <= shown


def test_a_preflight_is_answered_without_a_token(deployment: Deployment) -> None:
    asked = {
        **PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
    }

    answer = requests.options(f"{deployment.url}/v1/chat/completions", headers=asked, timeout=10)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-allow-headers"] == "authorization,content-type,x-stainless-os"


def test_answers_and_refusals_can_be_read_by_the_page(deployment: Deployment) -> None:
    models = requests.get(f"{deployment.url}/v1/models", headers=PAGE, timeout=10)
    refusal = requests.get(f"{deployment.url}/v1/credits", headers=PAGE, timeout=10)

    assert (models.status_code, refusal.status_code) == (200, 401)
    for answer in (models, refusal):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "x-request-id" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers


def test_an_options_request_that_is_no_preflight_is_a_wrong_method(deployment: Deployment) -> None:
    answer = requests.options(f"{deployment.url}/v1/models", timeout=10)

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"
