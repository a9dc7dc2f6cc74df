-- name: select_customer
-- Reads what a purchase for a wallet needs of the wallet's customer.
select c.timezone, m.id as default_card
from wallets w
join customers c on c.id = w.customer_id
left join payment_methods m on m.customer_id = c.id and m.is_default and m.deleted_at is null
where w.id = @wallet_id and w.organization_id = @organization_id and w.mode = @mode;

-- name: select_target
-- Reads the transaction that a void is to take from.
select wallet_id, transaction_type as type, coalesce(remaining_amount, 0) as remaining
from wallet_transactions
where id = @id and organization_id = @organization_id and mode = @mode;

-- name: select_named_card
-- Finds a saved card among those of the wallet's customer, or among all of the
-- organization when there is no such wallet.
select m.id
from payment_methods m
where m.id = @id
    and m.organization_id = @organization_id
    and m.mode = @mode
    and m.deleted_at is null
    and m.customer_id = coalesce(
        (
            select w.customer_id
            from wallets w
            where w.id = @wallet_id and w.organization_id = @organization_id and w.mode = @mode
        ),
        m.customer_id
    );

-- name: insert_movement
-- Inserts a grant or a void, which is settled from the beginning.
insert into wallet_transactions (
    id, organization_id, mode, wallet_id, transaction_type, transaction_status, status, amount, credit_amount,
    remaining_amount, created_at, settled_at, name, priority, source, purchase_order_number, metadata,
    skip_invoice_custom_sections, invoice_custom_sections
)
values (
    @id, @organization_id, @mode, @wallet_id, @transaction_type, @transaction_status, 'settled', @amount, @credit_amount,
    @remaining_amount, @now, @now, @name, @priority, @source, @purchase_order_number, @metadata,
    @skip_sections, @sections
);

-- name: insert_transfer
-- Inserts the transfer of a grant or a void between the wallet's account and one of
-- the organization's. Where that is missing the insert fails, because a transfer has
-- to name both sides.
with sides as (
    select @wallet_id::uuid as wallet_account, (
        select id
        from accounts
        where organization_id = @organization_id and mode = @mode and currency = @currency::text and kind = @account
    ) as other_account
)
insert into transfers (debit_account, credit_account, amount, currency, kind, wallet_transaction_id, created_at)
select
    case when @into_wallet::boolean then other_account else wallet_account end,
    case when @into_wallet::boolean then wallet_account else other_account end,
    @amount, @currency::text, @kind, @wallet_transaction_id, @now
from sides;
