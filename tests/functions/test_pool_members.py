"""The functions of pools over HTTP: who may be in one and do what, and what strangers see."""

from concurrent.futures import ThreadPoolExecutor

from google.cloud import firestore

from local.deployment import Deployment
from local.stack import Stack
from shared.base.economy import WELCOME_STAGES
from tests.clients import add_member, answer, balance_micros, call, refusal
from tests.functions.pools import CHAT, OPEN_TO_ALL, act, create, joined, open_session, put_in, rich_owner, see

GRANTED = WELCOME_STAGES[0].amount_micros


def test_roles_bound_what_each_may_do(stack: Stack, deployment: Deployment) -> None:
    owner, pool_id = rich_owner(stack, deployment, 10)
    manager, member = joined(stack, deployment, owner, pool_id), joined(stack, deployment, owner, pool_id)
    answer(act(deployment, owner, pool_id, "/members", user_id=manager.uid, role="manager"))
    limit = {"amount_micros": 1, "period": "day"}

    for what, body in (("", {"name": "x"}), ("/invitations", {}), ("/members", {"user_id": member.uid, "limit": None})):
        assert refusal(act(deployment, member, pool_id, what, **body), 403) == "role_missing"
    for target in (manager, owner):
        for change in ({"limit": None}, {"removed": True}, {"role": "member"}):
            refused = act(deployment, manager, pool_id, "/members", user_id=target.uid, **change)
            assert refusal(refused, 403) == "role_missing"
    assert refusal(act(deployment, manager, pool_id, "/close"), 403) == "role_missing"
    promote = {"user_id": member.uid, "role": "manager"}
    assert refusal(act(deployment, manager, pool_id, "/members", **promote), 403) == "role_missing"
    demote = {"user_id": owner.uid, "role": "member"}
    assert refusal(act(deployment, owner, pool_id, "/members", **demote), 409) == "owner_stays"
    assert refusal(act(deployment, owner, pool_id, "/leave"), 409) == "owner_stays"
    shown = answer(act(deployment, manager, pool_id, "/members", user_id=member.uid, limit=limit))
    assert shown["member"]["limit"] == limit
    answer(act(deployment, manager, pool_id, "", about="hello"))
    answer(act(deployment, manager, pool_id, "/invitations"))


def test_each_member_says_whether_they_lend(stack: Stack, deployment: Deployment) -> None:
    owner, pool_id = rich_owner(stack, deployment, 100)
    guest = joined(stack, deployment, owner, pool_id)
    wish = {"user_id": owner.uid, "lends": False}

    assert refusal(act(deployment, guest, pool_id, "/members", **wish), 403) == "role_missing"
    assert refusal(act(deployment, owner, pool_id, "/members", **wish, removed=True), 400) == "invalid_request"
    answer(act(deployment, owner, pool_id, "/members", **wish))
    assert see(deployment, guest, pool_id)["drawable_micros"] == 0
    assert see(deployment, owner, pool_id)["drawable_micros"] == 100
    answer(act(deployment, owner, pool_id, "/members", user_id=owner.uid, lends=True))
    assert see(deployment, guest, pool_id)["drawable_micros"] == 100


def test_whoever_is_removed_gets_what_is_theirs_and_stays_out(stack: Stack, deployment: Deployment) -> None:
    owner, pool_id = rich_owner(stack, deployment, 10)
    answer(act(deployment, owner, pool_id, "", **OPEN_TO_ALL))
    guest = joined(stack, deployment, owner, pool_id)
    put_in(deployment, guest, pool_id, 100)
    session = open_session(deployment, guest, 40, pool_id=pool_id)

    removed = answer(act(deployment, owner, pool_id, "/members", user_id=guest.uid, removed=True))
    assert removed["standing"] == "barred"
    assert balance_micros(deployment, guest) == GRANTED
    refused = call(deployment, "POST", "/v1/chat/completions", session["key"], json=CHAT)
    assert refusal(refused, 403) == "card_closed"
    code = answer(act(deployment, owner, pool_id, "/invitations"))["code"]
    for body in ({}, {"invitation": code}):
        assert refusal(act(deployment, guest, pool_id, "/join", **body), 403) == "member_barred"
    answer(act(deployment, owner, pool_id, "/members", user_id=guest.uid, removed=False))
    answer(act(deployment, guest, pool_id, "/join"))


def test_an_invitation_lets_in_as_many_as_it_says(stack: Stack, deployment: Deployment) -> None:
    """Not one more, however many try at once; for no other pool; and its secret is nowhere written down."""
    owner, pool_id = rich_owner(stack, deployment, 10)
    other_pool = create(deployment, owner)
    code = answer(act(deployment, owner, pool_id, "/invitations", uses_max=2))["code"]
    people = [add_member(stack, deployment) for _ in range(5)]

    assert refusal(act(deployment, people[0], other_pool, "/join", invitation=code), 403) == "invitation_invalid"
    wrong = code[:-1] + ("A" if code[-1] != "A" else "B")
    assert refusal(act(deployment, people[0], pool_id, "/join", invitation=wrong), 403) == "invitation_invalid"
    assert refusal(act(deployment, people[0], pool_id, "/join", invitation="inv_x"), 403) == "invitation_invalid"
    assert refusal(act(deployment, people[0], pool_id, "/join"), 404) == "pool_not_found"
    with ThreadPoolExecutor(5) as pool:
        tries = list(pool.map(lambda one: act(deployment, one, pool_id, "/join", invitation=code), people))
    assert sorted(one.status_code for one in tries).count(200) <= 2
    for person in people:
        act(deployment, person, pool_id, "/join", invitation=code)
    assert see(deployment, owner, pool_id)["members_count"] == 3


def test_an_invitation_is_listed_without_its_code_and_revoked_by_who_manages_the_pool(
    stack: Stack, deployment: Deployment
) -> None:
    owner, pool_id = rich_owner(stack, deployment, 10)
    member, stranger = joined(stack, deployment, owner, pool_id), add_member(stack, deployment)
    invited = answer(act(deployment, owner, pool_id, "/invitations", uses_max=5))
    path, revoke = f"/v1/pools/{pool_id}/invitations", {"invitation_id": invited["invitation_id"]}

    for person, status, code in ((member, 403, "role_missing"), (stranger, 404, "pool_not_found")):
        assert refusal(call(deployment, "GET", path, person.token), status) == code
        assert refusal(act(deployment, person, pool_id, "/invitations/revoke", **revoke), status) == code
    listed = answer(call(deployment, "GET", path, owner.token))["data"]
    assert {one["invitation_id"]: one["good"] for one in listed}[invited["invitation_id"]]
    assert invited["code"].split("_", 2)[2] not in str(listed)
    other = create(deployment, owner)
    assert refusal(act(deployment, owner, other, "/invitations/revoke", **revoke), 404) == "invitation_not_found"
    for _ in range(2):
        revoked = answer(act(deployment, owner, pool_id, "/invitations/revoke", **revoke))["invitation"]
        assert (revoked["revoked"], revoked["good"]) == (True, False)

    for code in (invited["code"], f"inv_{invited['invitation_id']}_{'A' * 43}", "inv_", "' or 1=1"):
        refused = act(deployment, stranger, pool_id, "/join", invitation=code)
        assert refusal(refused, 403) == "invitation_invalid"


def test_a_pool_is_handed_over_by_its_owner_alone(stack: Stack, deployment: Deployment) -> None:
    """With all that an owner may do, and nothing of what is the former one's own."""
    owner, pool_id = rich_owner(stack, deployment, 10)
    heir, member = joined(stack, deployment, owner, pool_id), joined(stack, deployment, owner, pool_id)
    answer(act(deployment, owner, pool_id, "/members", user_id=heir.uid, role="manager"))
    for person, target in ((heir, heir), (heir, member), (member, member)):
        seized = act(deployment, person, pool_id, "/members", user_id=target.uid, role="owner")
        assert refusal(seized, 403) == "role_missing"
    both = act(deployment, owner, pool_id, "/members", user_id=heir.uid, role="owner", removed=False)
    assert refusal(both, 400) == "invalid_request"

    for _ in range(2):
        assert answer(act(deployment, owner, pool_id, "/members", user_id=heir.uid, role="owner"))
    roles = {one["user_id"]: one["role"] for one in see(deployment, heir, pool_id)["members"]}
    assert roles == {owner.uid: "manager", heir.uid: "owner", member.uid: "member"}
    assert refusal(act(deployment, owner, pool_id, "/close"), 403) == "role_missing"
    assert refusal(act(deployment, heir, pool_id, "/leave"), 409) == "owner_stays"
    answer(act(deployment, heir, pool_id, "/members", user_id=owner.uid, removed=True))
    assert balance_micros(deployment, owner) == GRANTED + 10


def test_an_invitations_secret_is_nowhere_written_down(
    stack: Stack, deployment: Deployment, documents: firestore.Client
) -> None:
    owner, pool_id = rich_owner(stack, deployment, 10)
    code = answer(act(deployment, owner, pool_id, "/invitations"))["code"]

    stored = [found.to_dict() for found in documents.collection("pool_invites").stream()]
    assert code.split("_")[1] in [found.id for found in documents.collection("pool_invites").stream()]
    assert code.split("_", 2)[2] not in str(stored)


def test_strangers_see_the_face_of_public_pools_only(stack: Stack, deployment: Deployment) -> None:
    owner, hidden = rich_owner(stack, deployment, 10)
    shown = create(deployment, owner, **OPEN_TO_ALL)
    stranger = add_member(stack, deployment)

    assert refusal(call(deployment, "GET", f"/v1/pools/{hidden}", stranger.token), 404) == "pool_not_found"
    face = see(deployment, stranger, shown)
    assert (face["members"], face["me"], face["balance_micros"], face["members_count"]) == (None, None, None, 1)
    listed, after = [], None
    while page := answer(call(deployment, "GET", "/v1/pools", stranger.token, params={"after": after}))["data"]:
        listed += [one["pool_id"] for one in page]
        after = listed[-1]
    assert shown in listed
    assert hidden not in listed
    mine = answer(call(deployment, "GET", "/v1/pools", owner.token, params={"mine": "true"}))["data"]
    assert {one["pool_id"] for one in mine} == {hidden, shown}
