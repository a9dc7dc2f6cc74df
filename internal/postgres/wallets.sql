-- name: insert_wallet
-- Inserts a wallet and its account, which has the wallet's id.
with account as (
    insert into accounts (id, organization_id, mode, currency, kind, created_at)
    values (@id, @organization_id, @mode, @currency, 'wallet', @created_at)
), free as (
    -- A wallet without a code gets one from its name: that code itself, or else the
    -- code with the seconds of its creation, or with the next second, and so on.
    select candidate
    from (
        select 0 as position, @default_code::text as candidate
        union all
        select n, @default_code::text || '_' || (extract(epoch from @created_at::timestamptz)::bigint + n - 1)
        from generate_series(1, 100) as n
    ) candidates
    where not exists (select from wallets where customer_id = @customer_id and code = candidate and status = 'active')
    order by position
    limit 1
)
insert into wallets (
    id, organization_id, mode, currency, customer_id, rate_amount, is_primary, created_at, updated_at, code, name, priority,
    billing_entity_code, purchase_order_number, invoice_requires_successful_payment, paid_top_up_min_amount,
    paid_top_up_max_amount, payment_method_type, payment_method_id, applies_to, recurring_transaction_rules,
    skip_invoice_custom_sections, invoice_custom_sections, metadata, expiration_at
)
values (
    @id, @organization_id, @mode, @currency, @customer_id, @rate_amount, @is_primary, @created_at, @created_at,
    coalesce(@code, (select candidate from free)), @name, coalesce(nullif(@priority::smallint, 0), 50),
    coalesce(@billing_entity_code, 'default'), @purchase_order_number, @invoice_requires_successful_payment,
    @paid_top_up_min_amount, @paid_top_up_max_amount, @payment_method_type, @payment_method_id, @applies_to,
    @recurring_transaction_rules, @skip_invoice_custom_sections, @invoice_custom_sections, @metadata, @expiration_at
);

-- name: update_wallet
-- Writes the values of a wallet that its owner can change.
update wallets
set code                                = @code,
    name                                = @name,
    priority                            = @priority,
    purchase_order_number               = @purchase_order_number,
    invoice_requires_successful_payment = @invoice_requires_successful_payment,
    paid_top_up_min_amount              = @paid_top_up_min_amount,
    paid_top_up_max_amount              = @paid_top_up_max_amount,
    payment_method_type                 = @payment_method_type,
    payment_method_id                   = @payment_method_id,
    applies_to                          = @applies_to,
    recurring_transaction_rules         = @recurring_transaction_rules,
    skip_invoice_custom_sections        = @skip_invoice_custom_sections,
    invoice_custom_sections             = @invoice_custom_sections,
    metadata                            = @metadata,
    expiration_at                       = @expiration_at,
    updated_at                          = @now
where id = @id;

-- name: update_wallet_sums
-- Writes the sums of a wallet whose row is locked. The balance guards: it is the one
-- that the decision was made from.
update wallets
set balance                 = @balance,
    credits_balance         = @credits_balance,
    consumed_credits        = @consumed_credits,
    last_consumed_credit_at = @last_consumed_credit_at,
    last_balance_sync_at    = @now,
    updated_at              = @now
where id = @id and balance = @balance_before;
