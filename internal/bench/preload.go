package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// span is the period of the preloaded payments. It ends before the bench began.
	span = 365 * 24 * time.Hour
	// recent is the number of payments whose idempotency keys and jobs are still
	// stored.
	recent = 50_000
	// preloadAmount is the amount of each payment, in cents.
	preloadAmount = 25_00
	// preloadBody is the approximate size of an event's compressed body, in bytes.
	preloadBody = 700
)

// history is the set of payments that are stored before a measurement.
type history struct {
	began     time.Time // when the bench began
	count     int64
	merchants []merchant
	// open leaves the payments waiting for their challenges instead of settled.
	open bool
}

// The tables with rows of a payment. The numbers are part of the ids.
const (
	ofPayment = iota
	ofTransaction
)

// id returns the id of a row of payment n. It is a valid UUIDv7 with the payment's
// time.
func (h *history) id(n int64, table byte) wallet.ID {
	var id wallet.ID
	binary.BigEndian.PutUint64(id[:8], uint64(h.at(n).UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], uint64(n)) //nolint:gosec // n is not negative
	id[6] = 0x70 | id[6]&0x0f
	id[8] = 0x80 | table
	return id
}

func (h *history) at(n int64) time.Time {
	return h.began.Add(-span - time.Hour).Add(time.Duration(n) * (span / time.Duration(h.count)))
}

// intentID returns the id of payment n's intent. It has the length of Stripe's ids.
func (h *history) intentID(n int64) string { return fmt.Sprintf("pi_3Preload%016d", n) }

func (h *history) merchant(n int64) *merchant { return &h.merchants[n%int64(len(h.merchants))] }

// sheet describes how a table is filled row by row.
type sheet struct {
	table   string
	columns string
	count   int64
	row     func(n int64) []any
}

// load fills the tables with COPY, without the triggers that check foreign keys.
func (h *history) load(ctx context.Context, pool *pgxpool.Pool, progress func(table string, rows int64)) error {
	const atOnce = 2
	group, filling := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, s := range h.sheets() {
		group.Go(func() error {
			indexes, err := dropIndexes(filling, pool, s.table)
			if err != nil {
				return err
			}
			if err := s.fill(filling, pool, progress); err != nil {
				return err
			}
			for _, sql := range indexes {
				if _, err := pool.Exec(filling, sql); err != nil {
					return fmt.Errorf("preload %s: %w", s.table, err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if h.open {
		return nil
	}
	return h.credit(ctx, pool)
}

// dropIndexes drops the indexes that no constraint uses. It returns the statements
// that create them again, which is faster than updating them row by row.
func dropIndexes(ctx context.Context, pool *pgxpool.Pool, table string) ([]string, error) {
	rows, _ := pool.Query(ctx, `
		select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
		from pg_index i
		where i.indrelid = $1::regclass and not exists (select from pg_constraint c where c.conindid = i.indexrelid)`, table)
	var (
		name, definition string
		drops, makes     []string
	)
	_, err := pgx.ForEachRow(rows, []any{&name, &definition}, func() error {
		drops, makes = append(drops, "drop index "+name), append(makes, definition)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("indexes of %s: %w", table, err)
	}
	for _, sql := range drops {
		if _, err := pool.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("preload %s: %w", table, err)
		}
	}
	return makes, nil
}

// fill copies in several parts, so that the progress can be reported.
func (s sheet) fill(ctx context.Context, pool *pgxpool.Pool, progress func(table string, rows int64)) error {
	const part = 500_000
	columns := strings.Fields(s.columns)
	for from := int64(0); from < s.count; from += part {
		n, to := from, min(from+part, s.count)
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "set local session_replication_role = replica"); err != nil {
				return err
			}
			_, err := tx.CopyFrom(ctx, pgx.Identifier{s.table}, columns, pgx.CopyFromFunc(func() ([]any, error) {
				if n == to {
					return nil, nil
				}
				n++
				return s.row(n - 1), nil
			}))
			return err
		})
		if err != nil {
			return fmt.Errorf("preload %s: %w", s.table, err)
		}
		progress(s.table, to)
	}
	return nil
}

func (h *history) sheets() []sheet {
	list := []sheet{h.payments(), h.events(), h.transactions(), h.moves()}
	if !h.open {
		list = append(list, h.transfers(), h.keys(), h.jobs())
	}
	return list
}

var credits = pgtype.Numeric{Int: big.NewInt(preloadAmount / 100), Valid: true}

func (h *history) payments() sheet {
	if h.open {
		deadline := h.began.Add(24 * time.Hour)
		return sheet{
			"payments", "id organization_id mode wallet_id wallet_transaction_id payment_method_id amount currency " +
				"return_url status stripe_payment_intent_id redirect_url action_deadline_at next_check_at created_at updated_at",
			h.count, func(n int64) []any {
				m, at := h.merchant(n), h.at(n)
				return []any{
					h.id(n, ofPayment), m.organization, "test", m.wallet, h.id(n, ofTransaction), m.cards[0].id, int64(preloadAmount), "USD",
					"http://127.0.0.1/return", "requires_action", h.intentID(n), "http://127.0.0.1/challenge", deadline, deadline, at, at,
				}
			},
		}
	}
	return sheet{
		"payments", "id organization_id mode wallet_id wallet_transaction_id payment_method_id amount currency receipt_email " +
			"return_url status stripe_payment_intent_id stripe_charge_id amount_received balance_after created_at updated_at succeeded_at",
		h.count, func(n int64) []any {
			m, at := h.merchant(n), h.at(n)
			return []any{
				h.id(n, ofPayment), m.organization, "test", m.wallet, h.id(n, ofTransaction), m.cards[0].id, int64(preloadAmount), "USD",
				"billing@example.com", "http://127.0.0.1/return", "succeeded", h.intentID(n), fmt.Sprintf("ch_3Preload%016d", n),
				int64(preloadAmount), h.balance(n), at, at, at,
			}
		},
	}
}

// balance returns the wallet's balance after payment n.
func (h *history) balance(n int64) int64 { return (n/int64(len(h.merchants)) + 1) * preloadAmount }

func (h *history) transactions() sheet {
	return sheet{
		"wallet_transactions", "id organization_id mode wallet_id transaction_type transaction_status status amount credit_amount " +
			"remaining_amount created_at settled_at",
		h.count, func(n int64) []any {
			m, at := h.merchant(n), h.at(n)
			row := []any{
				h.id(n, ofTransaction), m.organization, "test", m.wallet, "inbound", "purchased", "settled", int64(preloadAmount), credits,
				int64(preloadAmount), at, &at,
			}
			if h.open {
				row[6], row[9], row[11] = "pending", nil, nil
			}
			return row
		},
	}
}

func (h *history) moves() sheet {
	to := "succeeded"
	if h.open {
		to = "requires_action"
	}
	return sheet{
		"payment_moves", "payment_id from_status to_status cause_kind cause_id moved_at", h.count,
		func(n int64) []any {
			return []any{h.id(n, ofPayment), "created", to, "job", "0", h.at(n)}
		},
	}
}

func (h *history) transfers() sheet {
	return sheet{
		"transfers", "debit_account credit_account amount currency kind payment_id wallet_transaction_id created_at", h.count,
		func(n int64) []any {
			m := h.merchant(n)
			return []any{
				m.clearing, m.wallet, int64(preloadAmount), "USD", "settlement", h.id(n, ofPayment), h.id(n, ofTransaction), h.at(n),
			}
		},
	}
}

func (h *history) events() sheet {
	body := []byte(strings.Repeat(`{"preloaded":true},`, preloadBody/19))
	count := h.count
	if h.open {
		count = 0 // events about open payments are what is measured
	}
	return sheet{
		"stripe_events", "id mode type api_version object_id stripe_payment_intent_id payment_id status source body " +
			"created_at received_at due_at handled_at note",
		count, func(n int64) []any {
			at, intent := h.at(n), h.intentID(n)
			return []any{
				fmt.Sprintf("evt_3Preload%016d", n), "test", "payment_intent.succeeded", "2023-10-16", intent, intent, h.id(n, ofPayment),
				"handled", "webhook", body, at, at, at, at, "no news for a payment that is succeeded",
			}
		},
	}
}

func (h *history) keys() sheet {
	count := min(h.count, recent)
	return sheet{
		"idempotency_keys", "organization_id mode operation key fingerprint payment_id wait_until created_at", count,
		func(n int64) []any {
			n += h.count - count
			return []any{
				h.merchant(n).organization, "test", "POST /v1/wallet/fund", fmt.Sprintf("preload-%d", n), make([]byte, 32),
				h.id(n, ofPayment), h.began, h.began,
			}
		},
	}
}

func (h *history) jobs() sheet {
	count := min(h.count, recent)
	return sheet{
		"river_job", "state attempt max_attempts attempted_at created_at finalized_at scheduled_at args attempted_by kind queue", count,
		func(n int64) []any {
			args := fmt.Sprintf(`{"payment_ids":["%s"]}`, h.id(n+h.count-count, ofPayment))
			return []any{
				"completed", int16(1), int16(12), h.began, h.began, h.began, h.began, args, []string{"preload"}, "charge_payments", "charge",
			}
		},
	}
}

// credit sets the wallets' balances to the sum of their payments.
func (h *history) credit(ctx context.Context, pool *pgxpool.Pool) error {
	var ids []wallet.ID
	var balances []int64
	for i := range min(int64(len(h.merchants)), h.count) {
		last := i + (h.count-1-i)/int64(len(h.merchants))*int64(len(h.merchants))
		ids, balances = append(ids, h.merchants[i].wallet), append(balances, h.balance(last))
	}
	_, err := pool.Exec(ctx, `
		update wallets w set balance = s.balance, credits_balance = s.balance / 100.0
		from unnest($1::uuid[], $2::bigint[]) as s (id, balance)
		where w.id = s.id`, ids, balances)
	if err != nil {
		return fmt.Errorf("preload wallets: %w", err)
	}
	return nil
}
