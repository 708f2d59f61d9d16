"""What every function is asked first: a request that succeeds, as a client, a provider, a queue or a timer sends it."""

import json
import secrets
import time

from bench.prepared import EMBEDDING_MODEL, IMAGE_MODEL, MODEL, Prepared, recording
from bench.report import BenchFailed
from bench.starter import FirstRequest
from local.buyer import apply_task
from local.cloudevent import a_large_entry, created_event
from local.contributor import PROVIDER
from local.deployment import CONNECT_SECRET, WEBHOOK_SECRET, Deployment
from local.earner import PAYOUT_MICROS, connect_task, payout_of
from local.manifest import FunctionRow
from local.paypal.authority import approval_of
from local.razorpay.wire import sign as sign_event
from local.razorpay.wire import sign_payment
from local.stack import Stack
from local.stripe.wire import sign
from local.treasury import Treasury


class FirstRequests:
    """Requests that succeed, one for every function of the manifest, on accounts prepared beforehand.

    The deployment's tasks must wait: detach its queues before.
    """

    def __init__(self, stack: Stack, deployment: Deployment) -> None:
        self._made = Prepared(stack, deployment)

    def of(self, row: FunctionRow) -> FirstRequest:
        """Raise BenchFailed for a function that this benchmark does not know yet."""
        made = self._made
        user, service = made.person.token, made.deployment.backend_token
        token = {"user": user, "spender": user, "card": service, "service": service, "none": ""}[row.auth]
        path, body = row.path, {}
        match row.name:
            case "account_freeze":
                path = path.replace("{account_id}", f"user:{made.started_person().uid}")
                token = made.deployment.operator_token
                body = {"frozen": True, "reason": "bench", "idempotency_key": secrets.token_hex(8)}
            case "account_start":
                # A person nobody has seen: the whole work, not the answer to a repeat.
                token = made.people.add(made.deployment.project_id).token
            case "ad_start":
                # Another person each time: one begins an ad every half a minute.
                token, body = made.started_person().token, {"tier": "text"}
            case "ad_reward":
                started = made.ask("/v1/ads", made.started_person().token, {"tier": "text"})
                path = f"{row.path}?{made.deployment.admob.callback('text', started.json()['nonce'])}"
            case "card_create":
                body = {"name": "bench", "amount_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "card_charge":
                path = made.card_path(row)
                body = {"amount_micros": 1, "reason": "bench", "idempotency_key": secrets.token_hex(8)}
            case "card_fund":
                path, body = made.card_path(row), {"amount_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "card_close":
                path = made.card_path(row, made.created_card()["card"]["card_id"])
            case "card_get" | "card_rotate" | "card_update":
                path = made.card_path(row)
            case "card_validate":
                body = {"key": made.created_card()["key"]}
            case "pool_create":
                body = {"name": "bench", "idempotency_key": secrets.token_hex(8)}
            case "pool_leave":
                path, token = row.path.replace("{pool_id}", made.pool_id), made.joined_person().token
            case "pool_join":
                path, token = row.path.replace("{pool_id}", made.pool_id), made.started_person().token
            case "pool_contribute" | "pool_withdraw":
                path = row.path.replace("{pool_id}", made.pool_id)
                body = {"amount_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "pool_member_update":
                path = row.path.replace("{pool_id}", made.pool_id)
                body = {"user_id": made.person.uid, "limit": None}
            case "pool_close":
                path = row.path.replace("{pool_id}", made.new_pool_id())
            case "invitation_revoke":
                path = row.path.replace("{pool_id}", made.pool_id)
                invited = made.ask(path.removesuffix("/revoke"), token, {}).json()
                body = {"invitation_id": invited["invitation_id"]}
            case "pool_get" | "pool_update" | "pool_invite" | "invitation_list":
                path = row.path.replace("{pool_id}", made.pool_id)
            case "session_create":
                body = {"budget_micros": 1, "idempotency_key": secrets.token_hex(8)}
            case "session_get":
                path = row.path.replace("{session_id}", made.session_id)
            case "session_end":
                path = row.path.replace("{session_id}", made.new_session_id(1))
            case "session_request":
                path = row.path.replace("{session_id}", made.session_id)
                body = {"call": "chat.completions", "body": made.chat_body()}
            case "chat_completions":
                body = made.chat_body()
            case "conversation_start":
                body = {"model": MODEL, "idempotency_key": secrets.token_hex(8)}
            case (
                "conversation_delete"
                | "conversation_get"
                | "conversation_quote"
                | "conversation_regenerate"
                | "conversation_reply"
                | "conversation_stop"
                | "conversation_title"
                | "conversation_update"
            ):
                path, body = made.talk(row)
            case "memory_erase":
                body = {"all": True}
            case "response_create":
                body = {"model": MODEL, "input": "Hello", "max_output_tokens": 16}
            case "embedding_create":
                body = {"model": EMBEDDING_MODEL, "input": "Hello"}
            case "image_generate":
                body = {"model": IMAGE_MODEL, "prompt": "A cat"}
            case "checkout_create":
                token = made.started_person().token
                body = {"rail": "stripe", "pack": "starter", "currency": "USD", "idempotency_key": secrets.token_hex(8)}
            case "order_get" | "order_refund":
                path = path.replace("{order_id}", made.bought()["order_id"])
                token = made.buyer.token
            case "order_release":
                path = path.replace("{order_id}", made.bought()["order_id"])
                token, body = made.deployment.operator_token, {"reason": "bench"}
            case "order_check":
                token, body = made.deployment.task_token, {"order_id": made.bought()["order_id"]}
            case "payment_apply":
                made.bought()
                token, body = made.deployment.task_token, apply_task(made.stripe_event())
            case "payment_refund":
                token = made.deployment.operator_token
                body = {"reason": "bench", "idempotency_key": secrets.token_hex(8)}
                body["order_id"] = made.bought()["order_id"]
            case "finance_report":
                token, path = made.deployment.operator_token, f"{path}?month=2026-01"
            case "complaint_create":
                token, body = made.complaint()
            case "complaint_resolve":
                complaint_id = made.ask("/v1/complaints", *made.complaint()).json()["complaint_id"]
                path = path.replace("{complaint_id}", complaint_id)
                token, body = made.deployment.operator_token, {"upheld": False, "reason": "bench"}
            case "complaint_list" | "payout_review_list" | "review_list" | "ticket_list":
                token = made.deployment.operator_token
            case "review_resolve":
                path = path.replace("{review_id}", Treasury(made.deployment.environment).put_up_for_review())
                token, body = made.deployment.operator_token, {"verdict": "dismissed", "reason": "bench"}
            case "ticket_resolve":
                path = path.replace("{ticket_id}", Treasury(made.deployment.environment).open_a_ticket())
                token, body = made.deployment.operator_token, {"reason": "bench"}
            case "payment_confirm":
                return self._confirmation(row)
            case "razorpay_webhook":
                made.paid_by_razorpay()
                raw = json.dumps(made.razorpay.newest_event(made.deployment.razorpay_credentials)).encode()
                return FirstRequest("POST", path, "", raw, {"x-razorpay-signature": sign_event(raw, WEBHOOK_SECRET)})
            case "credit_topup":
                # Paid before, so that no chain has to grow while it is timed.
                buyer = made.new_coin_buyer()
                token, body = buyer.token, buyer.top_up()
            case "crypto_claim":
                buyer = made.new_coin_buyer()
                order = buyer.order()
                token, path = buyer.token, path.replace("{order_id}", order["order_id"])
                body = buyer.send(order)
            case "stripe_webhook":
                raw = json.dumps(made.payment_event()).encode()
                signature = sign(raw, WEBHOOK_SECRET, int(time.time()))
                return FirstRequest("POST", path, "", raw, {"stripe-signature": signature})
            case "payout_onboard":
                token, body = made.new_earner().token, {"country": "us"}
            case "payout_request":
                token, body = made.new_earner().token, payout_of(secrets.token_hex(8))
            case "payout_get" | "payout_cancel":
                earner = made.new_earner()
                token, path = earner.token, path.replace("{payout_id}", earner.ask(PAYOUT_MICROS)["payout_id"])
            case "payout_review":
                path = path.replace("{payout_id}", made.new_earner().ask(PAYOUT_MICROS)["payout_id"])
                token, body = made.deployment.operator_token, {"verdict": "approve", "reason": "bench"}
            case "payout_send":
                body = {"payout_id": made.new_earner().ask(PAYOUT_MICROS)["payout_id"]}
                token = made.deployment.task_token
            case "payout_apply":
                made.new_earner()
                token, body = made.deployment.task_token, connect_task(made.stripe_event())
            case "stripe_connect_webhook":
                made.new_earner()
                raw = json.dumps(made.stripe_event()).encode()
                signature = sign(raw, CONNECT_SECRET, int(time.time()))
                return FirstRequest("POST", path, "", raw, {"stripe-signature": signature})
            case "paypal_webhook":
                raw = approval_of(made.buyer.order(rail="paypal")["url"].rpartition("/")[2])
                webhook_id = made.deployment.paypal_webhook_id
                return FirstRequest("POST", path, "", raw, made.paypal.sign(raw, webhook_id, int(time.time())))
            case "image_job_get":
                path = path.replace("{job_id}", made.image_job_id())
            case "image_run":
                token, body = made.deployment.task_token, {"job_id": made.image_job_id()}
            case "artifact_get":
                job = made.job()
                path = (
                    f"{path.replace('{artifact_id}', job['result']['artifacts'][0]['artifact_id'])}?job_id={job['id']}"
                )
            case "job_start":
                body = made.job_body()
            case "job_get":
                path = path.replace("{job_id}", made.job()["id"])
            case "job_approve":
                job = made.job(approve_plan=True)
                path = path.replace("{job_id}", job["id"])
                body = {"interrupt_id": job["approval"]["interrupt_id"], "answer": "yes"}
            case "job_resume":
                path = path.replace("{job_id}", made.job(approve_plan=True)["id"])
                body = {"ceiling_micros": 9_000_000}
            case "job_cancel":
                path = path.replace("{job_id}", made.job(approve_plan=True)["id"])
            case "job_step":
                # One that is cancelled: what is timed is the start of the function, and not the work of a job.
                job_id = made.ask("/v1/jobs", made.person.token, made.job_body()).json()["id"]
                made.ask(f"/v1/jobs/{job_id}/cancel", made.person.token, {})
                token, body = made.deployment.task_token, {"job_id": job_id, "leg": 0}
            case "credit_debit":
                body = {
                    "account_id": f"user:{made.person.uid}",
                    "amount_micros": 1,
                    "reason": "bench",
                    "idempotency_key": secrets.token_hex(8),
                }
            case "credit_transfer":
                body = {
                    "recipient": made.recipient.uid,
                    "amount_micros": 1,
                    "idempotency_key": secrets.token_hex(8),
                    "confirm_repeat": True,
                }
            case "settlement_get":
                path = f"/v1/settlements/{made.settlement_id}"
            case "entry_created":
                event = created_event(made.deployment.project_id, a_large_entry(f"user:{made.person.uid}"))
                return FirstRequest("POST", path, made.deployment.event_token, event.body, event.headers)
            case (
                "card_sweep"
                | "charge_collect"
                | "credit_expire"
                | "job_sweep"
                | "key_check"
                | "ledger_audit"
                | "ledger_checkpoint"
                | "ledger_settle"
                | "lease_sweep"
                | "payment_sweep"
                | "payout_schedule"
                | "price_refresh"
                | "reconcile_daily"
                | "session_sweep"
                | "settlement_daily"
            ):
                token = made.deployment.scheduler_token
            case "log_read":
                path = "/log/checkpoint"
            case "model_get":
                path = f"/v1/models/{MODEL}"
            case "demand_set":
                token = made.deployment.operator_token
                body = {"model": MODEL, "demand_ppm": 1_000_000, "reason": "bench"}
                body["idempotency_key"] = secrets.token_hex(8)
            case "model_update":
                token, body = made.deployment.operator_token, made.model_change()
            case "price_get" | "price_predict" | "price_trends":
                path = path.replace("{model_id}", MODEL)
            case "receipt_get":
                path = f"/v1/receipts/{made.receipt_id}"
            case "speech_transcribe":
                posted, media_type = recording()
                return FirstRequest("POST", path, token, posted, {"content-type": media_type})
            case "provider_allow":
                token, path = made.deployment.operator_token, path.replace("{provider}", PROVIDER)
                body = {"allowed": True, "reason": "bench"}
            case "key_deposit":
                token = made.started_person().token
                body = made.contributor(token).deposit_of("sk-bench")
            case "key_validate":
                token, body = made.deployment.task_token, {"key_id": made.contributed(user)}
            case "contribution_get" | "key_withdraw":
                token = made.started_person().token
                path = path.replace("{key_id}", made.contributed(token))
            case "key_pause" | "key_resume":
                token = made.started_person().token
                path = path.replace("{key_id}", made.tried(token))
            case (
                "card_list"
                | "contribution_list"
                | "credit_balance"
                | "earning_get"
                | "job_list"
                | "key_get"
                | "model_list"
                | "pack_list"
                | "payout_list"
                | "pool_list"
                | "session_list"
                | "conversation_list"
                | "memory_list"
            ):
                pass
            case _:
                raise BenchFailed(f"bench/first_requests.py does not know how to call {row.name}")
        return FirstRequest(row.method, path, token, body)

    def _confirmation(self, row: FunctionRow) -> FirstRequest:
        order_id, reference, payment_id = self._made.paid_by_razorpay()
        signature = sign_payment(reference, payment_id, self._made.deployment.razorpay_credentials[1])
        path = row.path.replace("{order_id}", order_id)
        return FirstRequest("POST", path, self._made.buyer.token, {"payment_id": payment_id, "signature": signature})
