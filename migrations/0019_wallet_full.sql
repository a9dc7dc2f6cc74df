-- +goose Up

-- Money that a wallet cannot hold is a discrepancy of its own. The check is replaced
-- without reading the table: it admits everything that the one before it admitted.
alter table payment_discrepancies drop constraint payment_discrepancies_kind_check;
alter table payment_discrepancies add constraint payment_discrepancies_kind_check check (kind in
    ('amount_mismatch', 'currency_mismatch', 'paid_twice', 'second_intent', 'wallet_full')) not valid;

-- +goose Down
-- Rows of the new kind stay: the check is for new ones.
alter table payment_discrepancies drop constraint payment_discrepancies_kind_check;
alter table payment_discrepancies add constraint payment_discrepancies_kind_check check (kind in
    ('amount_mismatch', 'currency_mismatch', 'paid_twice', 'second_intent')) not valid;
