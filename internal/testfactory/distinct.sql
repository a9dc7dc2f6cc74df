-- One row or two of each table, in which no two columns of one type have the same value.
-- A test that reads such a row back and compares every field fails when the query or the
-- reader takes one column for another.

create function pg_temp.id(n integer) returns uuid language sql immutable
as $$ select ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid $$;

create function pg_temp.at(n integer) returns timestamptz language sql immutable
as $$ select '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 hour' $$;

insert into organizations (id, name, primary_email, created_at)
values (pg_temp.id(1), 'organization name', 'organization@mail.example', pg_temp.at(1));

insert into api_keys (id, organization_id, mode, name, key_hash, hint, scopes, created_at, expires_at, revoked_at)
values (pg_temp.id(2), pg_temp.id(1), 'live', 'key name', sha256('key'), 'hint', '{fund,read}', pg_temp.at(2), pg_temp.at(3), pg_temp.at(4));
insert into api_key_uses (api_key_id, last_used_at) values (pg_temp.id(2), pg_temp.at(5));

insert into customers (id, organization_id, mode, external_id, email, name, firstname, lastname, currency, timezone,
    stripe_customer_id, profile, created_at, updated_at)
values (pg_temp.id(3), pg_temp.id(1), 'live', 'external id', 'customer@mail.example', 'customer name', 'first name', 'last name',
    'CHF', 'Europe/Zurich', 'cus_1', '{"a": 1}', pg_temp.at(6), pg_temp.at(7));

insert into payment_methods (id, organization_id, mode, customer_id, stripe_payment_method_id, brand, last4, expiry_month,
    expiry_year, is_default, error_code, error_message, error_at, created_at)
values (pg_temp.id(4), pg_temp.id(1), 'live', pg_temp.id(3), 'pm_1', 'visa', '4242', 11, 2031, true, 'error code', 'error message',
    pg_temp.at(8), pg_temp.at(9));

insert into accounts (id, organization_id, mode, currency, kind, created_at)
values
    (pg_temp.id(5), pg_temp.id(1), 'live', 'EUR', 'stripe_clearing', pg_temp.at(10)),
    (pg_temp.id(6), pg_temp.id(1), 'live', 'EUR', 'wallet', pg_temp.at(11)),
    (pg_temp.id(16), pg_temp.id(1), 'live', 'EUR', 'promotions', pg_temp.at(11));

insert into wallets (id, organization_id, mode, customer_id, currency, rate_amount, is_primary, balance, credits_balance, created_at,
    updated_at, name, code, status, priority, billing_entity_code, purchase_order_number, invoice_requires_successful_payment,
    paid_top_up_min_amount, paid_top_up_max_amount, traceable, consumed_credits, payment_method_type, payment_method_id, applies_to,
    recurring_transaction_rules, skip_invoice_custom_sections, invoice_custom_sections, metadata, expiration_at,
    last_balance_sync_at, last_consumed_credit_at, terminated_at)
values (pg_temp.id(6), pg_temp.id(1), 'live', pg_temp.id(3), 'EUR', 1.25, true, 1001, 1002.5, pg_temp.at(12), pg_temp.at(13), 'wallet name',
    'wallet_code', 'terminated', 7, 'billing entity', 'wallet order', true, 1003, 1004, true, 1005.5, 'provider', pg_temp.id(4), '{"b": 1}',
    '[{"c": 1}]', false, '[{"code": "d"}]', '{"e": "1"}', pg_temp.at(14), pg_temp.at(15), pg_temp.at(16), pg_temp.at(17));

insert into wallet_transactions (id, organization_id, mode, wallet_id, transaction_type, transaction_status, status, amount,
    credit_amount, remaining_amount, created_at, settled_at, failed_at)
values (pg_temp.id(7), pg_temp.id(1), 'live', pg_temp.id(6), 'inbound', 'purchased', 'settled', 1011, 1012.5, 1010, pg_temp.at(18),
    pg_temp.at(19), pg_temp.at(20));

insert into invoices (id, organization_id, mode, customer_id, wallet_id, wallet_transaction_id, status, payment_status, currency,
    amount, paid_amount, credit_amount, rate_amount, description, purchase_order_number, custom_sections, issuing_date,
    sequential_id, number, created_at, updated_at, finalized_at)
values (pg_temp.id(8), pg_temp.id(1), 'live', pg_temp.id(3), pg_temp.id(6), pg_temp.id(7), 'finalized', 'succeeded', 'EUR', 1021, 1022, 1023.5,
    1.75, 'invoice description', 'invoice order', '[{"code": "f"}]', '2026-02-03', 1024, 'INV-1', pg_temp.at(21), pg_temp.at(22),
    pg_temp.at(23));

-- An open payment, and one that has succeeded.
insert into payments (id, organization_id, mode, wallet_id, wallet_transaction_id, payment_method_id, amount, currency, receipt_email,
    return_url, status, stripe_payment_intent_id, stripe_charge_id, amount_received, balance_after, redirect_url, failure_code,
    failure_decline_code, failure_message, action_deadline_at, next_check_at, created_at, updated_at, canceled_at, failed_at,
    succeeded_at, returned_at)
values
    (pg_temp.id(9), pg_temp.id(1), 'live', pg_temp.id(6), pg_temp.id(7), pg_temp.id(4), 1031, 'EUR', 'receipt@mail.example',
        'https://return.example', 'requires_action', 'pi_1', null, null, null, 'https://redirect.example', 'failure code',
        'decline code', 'failure message', pg_temp.at(24), pg_temp.at(25), pg_temp.at(26), pg_temp.at(27), null, null, null, null),
    (pg_temp.id(29), pg_temp.id(1), 'live', pg_temp.id(6), pg_temp.id(7), pg_temp.id(4), 1041, 'EUR', 'receipt@mail.example',
        'https://return.example', 'succeeded', 'pi_2', 'ch_2', 1042, 1043, null, 'failure code 2', null, null, pg_temp.at(30), null,
        pg_temp.at(32), pg_temp.at(33), pg_temp.at(34), pg_temp.at(35), pg_temp.at(36), pg_temp.at(37));

insert into payment_moves (payment_id, from_status, to_status, cause_kind, cause_id, stripe_request_id, moved_at)
values (pg_temp.id(29), 'created', 'succeeded', 'job', '41', 'req_stripe', pg_temp.at(38));

insert into transfers (debit_account, credit_account, amount, currency, kind, payment_id, wallet_transaction_id, created_at)
values (pg_temp.id(5), pg_temp.id(6), 1051, 'EUR', 'settlement', pg_temp.id(29), pg_temp.id(7), pg_temp.at(39));

insert into payment_discrepancies (payment_id, kind, stripe_payment_intent_id, expected_amount, expected_currency, received_amount,
    received_currency, cause_kind, cause_id, found_at)
values (pg_temp.id(29), 'amount_mismatch', 'pi_3', 1061, 'EUR', 1062, 'GBP', 'event', 'evt_3', pg_temp.at(40));

insert into idempotency_keys (organization_id, mode, operation, key, fingerprint, payment_id, wait_until, created_at)
values (pg_temp.id(1), 'live', 'operation', 'idempotency key', sha256('request'), pg_temp.id(29), pg_temp.at(41), pg_temp.at(42));

-- A handled event of the payment that has succeeded, and a pending one of the other.
insert into stripe_events (id, mode, type, api_version, object_id, stripe_payment_intent_id, payment_id, status, source, deliveries,
    body, created_at, received_at, due_at, handled_at, handled_by, note)
values
    ('evt_1', 'live', 'event.type', 'api version', 'object id', 'pi_4', pg_temp.id(29), 'handled', 'sweep', 3, 'body', pg_temp.at(43),
        pg_temp.at(44), pg_temp.at(45), pg_temp.at(46), 'handled by', 'note'),
    ('evt_2', 'live', 'payment_intent.succeeded', 'api version', 'object id 2', 'pi_5', pg_temp.id(9), 'pending', 'webhook', 1, 'body',
        pg_temp.at(47), pg_temp.at(48), pg_temp.at(49), null, null, null);

insert into webhook_endpoints (id, organization_id, mode, name, url, signature, events, types, status, secret, previous_secret,
    previous_secret_expires_at, failures, failing_since, held_until, last_error, created_at, updated_at)
values (pg_temp.id(10), pg_temp.id(1), 'live', 'endpoint name', 'https://endpoint.example', 'standard', '{event}', '{type}', 'enabled',
    'secret', 'previous secret', pg_temp.at(50), 4, pg_temp.at(51), pg_temp.at(52), 'endpoint error', pg_temp.at(53), pg_temp.at(54));

insert into merchant_events (id, organization_id, mode, type, object_id, sequence, snapshot, traceparent, created_at)
values (pg_temp.id(11), pg_temp.id(1), 'live', 'merchant.event', pg_temp.id(29), 5, '{"amount": 1071}', 'traceparent', pg_temp.at(55));

insert into deliveries (id, endpoint_id, event_id, object_id, sequence, status, attempts, created_at)
values (pg_temp.id(12), pg_temp.id(10), pg_temp.id(11), pg_temp.id(29), 6, 'pending', 7, pg_temp.at(56));
insert into delivery_lanes (endpoint_id, object_id, due_at, claim)
values (pg_temp.id(10), pg_temp.id(29), pg_temp.at(57), pg_temp.id(17));
insert into delivery_attempts (delivery_id, attempted_at, duration_ms, response_status, error)
values (pg_temp.id(12), pg_temp.at(58), 59, 503, 'attempt error');

insert into users (id, email, role, password_hash, password_changed_at, created_at, disabled_at, last_login_at)
values (pg_temp.id(13), 'user@mail.example', 'support', 'password hash', pg_temp.at(60), pg_temp.at(61), pg_temp.at(62), pg_temp.at(63));

insert into operator_actions (mode, user_id, actor, role, action, subject_kind, subject_id, reason, before, after, request_id, acted_at)
values ('live', pg_temp.id(13), 'actor@mail.example', 'operator', 'action', 'payment', pg_temp.id(29)::text, 'reason', '{"g": 1}',
    '{"h": 1}', 'request id', pg_temp.at(64));

insert into disputes (id, organization_id, mode, wallet_id, payment_id, stripe_dispute_id, amount, currency, status, reason, withdrawn,
    reinstated, funds_currency, debited, created_at, updated_at)
values (pg_temp.id(15), pg_temp.id(1), 'live', pg_temp.id(6), pg_temp.id(29), 'dp_1', 1081, 'EUR', 'needs_response', 'dispute reason', 1082,
    1083, 'GBP', 1080, pg_temp.at(67), pg_temp.at(68));

insert into reconciliations (id, mode, source, since, until, payments, refunds, disputes, charged_not_credited, credited_not_charged,
    amount_differs, open_too_long, refund_differs, dispute_differs, repaired, findings, started_at, finished_at)
values (pg_temp.id(18), 'live', 'operator', pg_temp.at(70), pg_temp.at(71), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    '[{"kind": "amount_differs", "stripe_id": "pi_6", "detail": "detail", "repaired": false}]', pg_temp.at(72), pg_temp.at(73));

insert into river_job (id, state, kind, queue, priority, attempt, max_attempts, args, metadata, tags, attempted_by, errors, created_at,
    scheduled_at, attempted_at, finalized_at)
values (41, 'discarded', 'job_kind', 'job_queue', 2, 5, 6, jsonb_build_object('event_id', 'evt_1'), '{"k": 1}', '{tag}', '{worker}',
    array['{"at": "2026-01-04T03:00:00Z", "attempt": 5, "error": "job error", "trace": "job trace"}'::jsonb], pg_temp.at(74), pg_temp.at(76),
    pg_temp.at(77), pg_temp.at(78));
insert into river_queue (name, created_at, metadata, paused_at, updated_at)
values ('job_queue', pg_temp.at(79), '{}', pg_temp.at(80), pg_temp.at(81));
