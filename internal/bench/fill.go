package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Fill describes the rows that a database is filled with before it is measured. Each
// row is a function of its number, so rows of different tables agree without being
// kept in memory, and the books add up.
type Fill struct {
	Payments int
	Jobs     int
	// Until is the time of the newest row. All rows fall in the duration Over before it.
	Until time.Time
	Over  time.Duration
	// Progress is called after each table with the number of rows copied.
	Progress func(table string, rows int)
}

// paymentsPerWallet is the number of payments per wallet. Every liveEvery-th wallet is
// in live mode, the others are in test mode.
const (
	paymentsPerWallet = 20
	liveEvery         = 10
)

// fillPart is the part of a generated id that says which table the row is in.
type fillPart uint16

const (
	partOrganization fillPart = iota
	partCustomer
	partCard
	partWallet
	partTransaction
	partPayment
	partAccount
	partInvoice
)

// About one payment in challengeEvery went through a 3-D Secure challenge, and every
// invoiceEvery-th payment has an invoice.
const (
	challengeEvery = 16
	invoiceEvery   = 20
)

// filler generates the rows of one Fill.
type filler struct {
	Fill
	salt     uint32
	invoices map[wallet.Mode]int64 // the last invoice number of each mode
	wallets  int
	firstJob int64
	start    time.Time
}

// Run copies the rows into the database, table by table.
func (f Fill) Run(ctx context.Context, pool *pgxpool.Pool) error {
	x := &filler{
		Fill: f, invoices: make(map[wallet.Mode]int64), salt: rand.Uint32(), //nolint:gosec // it only has to differ between runs
		wallets: max(f.Payments/paymentsPerWallet, liveEvery), start: f.Until.Add(-f.Over).Truncate(time.Millisecond),
	}
	err := pool.QueryRow(ctx, `
		select nextval('river_job_id_seq') from setval('river_job_id_seq', (select last_value + $1 from river_job_id_seq))`,
		f.Jobs).Scan(&x.firstJob)
	if err != nil {
		return fmt.Errorf("reserve ids of jobs: %w", err)
	}
	x.firstJob -= int64(f.Jobs) + 1
	for _, t := range x.tables() {
		n := 0
		source := pgx.CopyFromFunc(func() ([]any, error) {
			for n < t.rows {
				row := t.row(n)
				n++
				if row != nil {
					return row, nil
				}
			}
			return nil, nil
		})
		copied, err := pool.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, source)
		if err != nil {
			return fmt.Errorf("fill %s: %w", t.name, err)
		}
		f.Progress(t.name, int(copied))
	}
	if err := x.linkInvoices(ctx, pool); err != nil {
		return err
	}
	// Without new statistics the planner still takes the tables for empty.
	if _, err := pool.Exec(ctx, `vacuum analyze`); err != nil {
		return fmt.Errorf("analyze: %w", err)
	}
	return nil
}

type fillTable struct {
	name    string
	columns []string
	rows    int
	// row returns row i, or nil if there is none.
	row func(i int) []any
}

func (x *filler) tables() []fillTable {
	balances := make([]int64, x.wallets)
	for i := range x.Payments {
		if p := x.payment(i); p.status == wallet.PaymentSucceeded {
			balances[p.wallet] += p.amount
		}
	}
	running := make([]int64, x.wallets)
	return []fillTable{
		{"organizations", []string{"id", "name", "primary_email", "created_at"}, 1, func(int) []any {
			return []any{x.id(partOrganization, 0, x.start), "Filled Inc.", "billing@filled.example", x.start}
		}},
		{"accounts", []string{"id", "organization_id", "mode", "currency", "kind", "created_at"}, 2 * len(postgres.OrganizationAccounts), func(i int) []any {
			mode := wallet.Modes[i%2]
			return []any{x.account(postgres.OrganizationAccounts[i/2], mode), x.organization(), mode, wallet.USD, postgres.OrganizationAccounts[i/2], x.start}
		}},
		{
			"customers",
			[]string{"id", "organization_id", "mode", "external_id", "email", "name", "stripe_customer_id", "created_at", "updated_at"},
			x.wallets, func(i int) []any {
				at, n := x.madeAt(i), strconv.Itoa(i)
				return []any{
					x.id(partCustomer, i, at), x.organization(), x.mode(i), "customer-" + n, "person" + n + "@mail.example",
					"Person " + n, x.stripe("cus_", i), at, at,
				}
			},
		},
		{
			"payment_methods",
			[]string{"id", "organization_id", "mode", "customer_id", "stripe_payment_method_id", "brand", "last4", "expiry_month", "expiry_year", "is_default", "created_at"},
			x.wallets, func(i int) []any {
				at := x.madeAt(i)
				return []any{
					x.card(i), x.organization(), x.mode(i), x.id(partCustomer, i, at), x.stripe("pm_", i), "visa",
					fmt.Sprintf("%04d", i*7919%10000), 1 + i%12, 2030 + i%8, true, at,
				}
			},
		},
		{"accounts", []string{"id", "organization_id", "mode", "currency", "kind", "created_at"}, x.wallets, func(i int) []any {
			return []any{x.walletID(i), x.organization(), x.mode(i), wallet.USD, "wallet", x.madeAt(i)}
		}},
		{
			"wallets",
			[]string{"id", "organization_id", "mode", "customer_id", "currency", "rate_amount", "code", "balance", "credits_balance", "created_at", "updated_at"},
			x.wallets, func(i int) []any {
				at := x.madeAt(i)
				return []any{
					x.walletID(i), x.organization(), x.mode(i), x.id(partCustomer, i, at), wallet.USD, decimal.NewFromInt(1), "default",
					balances[i], decimal.New(balances[i], -2), at, at,
				}
			},
		},
		{
			"wallet_transactions",
			[]string{"id", "organization_id", "mode", "wallet_id", "transaction_type", "transaction_status", "status", "amount", "credit_amount", "remaining_amount", "created_at", "settled_at", "failed_at"},
			x.Payments, x.transactionRow,
		},
		{
			"payments",
			[]string{"id", "organization_id", "mode", "wallet_id", "wallet_transaction_id", "payment_method_id", "amount", "currency", "status", "stripe_payment_intent_id", "stripe_charge_id", "amount_received", "balance_after", "redirect_url", "return_url", "failure_code", "failure_decline_code", "failure_message", "action_deadline_at", "next_check_at", "created_at", "updated_at", "canceled_at", "failed_at", "succeeded_at", "returned_at"},
			x.Payments, func(i int) []any { return x.paymentRow(i, running) },
		},
		{"payment_moves", []string{"payment_id", "from_status", "to_status", "cause_kind", "cause_id", "moved_at"}, 2 * x.Payments, x.moveRow},
		{
			"invoices",
			[]string{"id", "organization_id", "mode", "customer_id", "wallet_id", "wallet_transaction_id", "status", "payment_status", "currency", "amount", "paid_amount", "credit_amount", "rate_amount", "description", "issuing_date", "sequential_id", "number", "created_at", "updated_at", "finalized_at"},
			x.Payments, x.invoiceRow,
		},
		{
			"transfers",
			[]string{"debit_account", "credit_account", "amount", "currency", "kind", "payment_id", "wallet_transaction_id", "created_at"},
			x.Payments, x.transferRow,
		},
		{
			"stripe_events",
			[]string{"id", "mode", "type", "api_version", "object_id", "stripe_payment_intent_id", "payment_id", "status", "source", "body", "created_at", "received_at", "due_at", "handled_at", "handled_by", "note"},
			x.Payments, x.eventRow,
		},
		{
			"river_job",
			[]string{"id", "state", "attempt", "max_attempts", "attempted_at", "created_at", "finalized_at", "scheduled_at", "args", "attempted_by", "errors", "kind", "queue"},
			x.Jobs, x.jobRow,
		},
	}
}

// id returns the UUID (version 7) of row i of a part.
func (x *filler) id(part fillPart, i int, at time.Time) wallet.ID {
	id := wallet.FirstID(at)
	binary.BigEndian.PutUint16(id[8:], uint16(part)|0x8000)
	binary.BigEndian.PutUint32(id[10:], x.salt)
	id[6] |= byte(i>>16) & 0x0f            //nolint:gosec // its lowest bits
	id[7] = byte(i >> 8)                   //nolint:gosec // its lowest bits
	id[14], id[15] = byte(x.salt), byte(i) //nolint:gosec // their lowest bits
	return id
}

func (x *filler) organization() wallet.ID { return x.id(partOrganization, 0, x.start) }

func (x *filler) account(kind string, mode wallet.Mode) wallet.ID {
	for i, k := range postgres.OrganizationAccounts {
		if k == kind && mode == wallet.ModeLive {
			return x.id(partAccount, 2*i, x.start)
		} else if k == kind {
			return x.id(partAccount, 2*i+1, x.start)
		}
	}
	return wallet.ID{}
}

// madeAt returns the creation time of wallet i, its customer and its card. Wallets are
// created a millisecond apart, all before the first payment.
func (x *filler) madeAt(i int) time.Time {
	return x.start.Add(-time.Duration(x.wallets-i) * time.Millisecond)
}

func (x *filler) mode(i int) wallet.Mode {
	if i%liveEvery == 0 {
		return wallet.ModeLive
	}
	return wallet.ModeTest
}

func (x *filler) card(i int) wallet.ID     { return x.id(partCard, i, x.madeAt(i)) }
func (x *filler) walletID(i int) wallet.ID { return x.id(partWallet, i, x.madeAt(i)) }

func (x *filler) stripe(prefix string, i int) string {
	return fmt.Sprintf("%sF%08x%010d", prefix, x.salt, i)
}

// madePayment is a generated payment.
type madePayment struct {
	id, transaction wallet.ID
	wallet          int
	status          wallet.PaymentStatus
	amount          int64
	at, done        time.Time
	failure         [3]string // code, decline code, message
	challenged      bool
}

// madeFailures are the reasons for which generated payments fail.
var madeFailures = [][3]string{
	{"card_declined", "insufficient_funds", "Your card has insufficient funds."},
	{"card_declined", "generic_decline", "Your card was declined."},
	{"card_declined", "do_not_honor", "Your card was declined."},
	{"expired_card", "", "Your card has expired."},
	{"payment_intent_authentication_failure", "", "The payment could not be authenticated."},
	{"processing_error", "", "An error occurred while processing your card."},
}

func (x *filler) payment(i int) madePayment {
	step := x.Over / time.Duration(x.Payments)
	at := x.start.Add(time.Duration(i) * step).Truncate(time.Millisecond)
	mixed := uint32(i) * 2654435761 //nolint:gosec // spreads the bits
	p := madePayment{
		id: x.id(partPayment, i, at), transaction: x.id(partTransaction, i, at), at: at,
		wallet: int(mixed>>8) % x.wallets, amount: 10_00 + int64(mixed>>4)%490*100,
		done: at.Add(time.Duration(300+mixed>>5%1800) * time.Millisecond),
	}
	const perMille, failed, canceled = 1000, 60, 66
	switch share := int(mixed>>3) % perMille; {
	case x.Payments-i <= 12:
		p.status = []wallet.PaymentStatus{wallet.PaymentProcessing, wallet.PaymentRequiresAction, wallet.PaymentCreated}[i%3]
	case share < failed:
		p.status, p.failure = wallet.PaymentFailed, madeFailures[share*share/failed%len(madeFailures)]
	case share < canceled:
		p.status, p.failure = wallet.PaymentCanceled, [3]string{wallet.FailureCanceled, "", "The payment was canceled."}
	default:
		p.status = wallet.PaymentSucceeded
	}
	p.challenged = !p.status.Open() && (mixed>>22^uint32(i))%challengeEvery == 0 //nolint:gosec // spreads the bits
	return p
}

func (x *filler) transactionRow(i int) []any {
	p := x.payment(i)
	status := wallet.TransactionPending
	var remaining, settledAt, failedAt any
	switch {
	case p.status == wallet.PaymentSucceeded:
		status, remaining, settledAt = wallet.TransactionSettled, p.amount, p.done
	case !p.status.Open():
		status, failedAt = wallet.TransactionFailed, p.done
	}
	return []any{
		p.transaction, x.organization(), x.mode(p.wallet), x.walletID(p.wallet), "inbound", "purchased", status, p.amount,
		decimal.New(p.amount, -2), remaining, p.at, settledAt, failedAt,
	}
}

func (x *filler) paymentRow(i int, running []int64) []any {
	p := x.payment(i)
	var intent, charge, received, balance, redirect, deadline, check, canceledAt, failedAt, succeededAt, returned any
	var failure [3]any
	for k, text := range p.failure {
		if text != "" {
			failure[k] = text
		}
	}
	intent = x.stripe("pi_", i)
	switch p.status {
	case wallet.PaymentSucceeded:
		running[p.wallet] += p.amount
		charge, received, balance, succeededAt = x.stripe("ch_", i), p.amount, running[p.wallet], p.done
	case wallet.PaymentFailed:
		failedAt = p.done
	case wallet.PaymentCanceled:
		canceledAt = p.done
	case wallet.PaymentRequiresAction:
		redirect, deadline = "https://hooks.stripe.com/3d_secure_2/"+x.stripe("pi_", i), p.at.Add(24*time.Hour)
	case wallet.PaymentCreated, wallet.PaymentProcessing:
		intent = nil
	}
	if p.challenged && p.status == wallet.PaymentSucceeded {
		returned = p.done.Add(-200 * time.Millisecond)
	}
	if p.status.Open() {
		check = x.Until.Add(time.Hour)
	}
	return []any{
		p.id, x.organization(), x.mode(p.wallet), x.walletID(p.wallet), p.transaction, x.card(p.wallet), p.amount, wallet.USD,
		p.status, intent, charge, received, balance, redirect,
		"https://filled.example/return", failure[0], failure[1], failure[2], deadline, check, p.at, p.done,
		canceledAt, failedAt, succeededAt, returned,
	}
}

// moveRow returns the first move of a payment for an even k. For an odd k it returns the
// second move, which only payments with a challenge have.
func (x *filler) moveRow(k int) []any {
	i := k / 2
	p := x.payment(i)
	switch {
	case p.status == wallet.PaymentCreated, !p.challenged && k%2 == 1:
		return nil
	case p.challenged && k%2 == 1:
		return []any{p.id, wallet.PaymentRequiresAction, p.status, wallet.CauseEvent, x.stripe("evt_", i), p.done}
	}
	to, at := p.status, p.done
	if p.challenged {
		to, at = wallet.PaymentRequiresAction, p.at.Add(p.done.Sub(p.at)/2)
	}
	cause := "1"
	if x.Jobs > 0 {
		cause = strconv.FormatInt(x.firstJob+int64((i*x.Jobs+x.Payments-1)/x.Payments), 10)
	}
	return []any{p.id, wallet.PaymentCreated, to, wallet.CauseJob, cause, at}
}

// invoiceRow returns the invoice of payment i, or nil if it has none. It numbers paid
// invoices in the order of the calls.
func (x *filler) invoiceRow(i int) []any {
	p := x.payment(i)
	if i%invoiceEvery != 0 {
		return nil
	}
	mode := x.mode(p.wallet)
	status, payment, paid := "open", "pending", int64(0)
	var sequence, number, finalized any
	switch {
	case p.status == wallet.PaymentSucceeded:
		x.invoices[mode]++
		status, payment, paid = "finalized", "succeeded", p.amount
		sequence, number, finalized = x.invoices[mode], fmt.Sprintf("FIL-%06d", x.invoices[mode]), p.done
	case !p.status.Open():
		payment = "failed"
	}
	return []any{
		x.id(partInvoice, i, p.at), x.organization(), mode, x.id(partCustomer, p.wallet, x.madeAt(p.wallet)), x.walletID(p.wallet),
		p.transaction, status, payment, wallet.USD, p.amount, paid, decimal.New(p.amount, -2), decimal.NewFromInt(1), "Credits", p.at,
		sequence, number, p.at, p.done, finalized,
	}
}

// linkInvoices sets the invoice of each purchase, because invoices are copied after
// purchases, and stores the last invoice number of each mode.
func (x *filler) linkInvoices(ctx context.Context, pool *pgxpool.Pool) error {
	_, err := pool.Exec(ctx, `
		update wallet_transactions t set invoice_id = i.id
		from invoices i where i.wallet_transaction_id = t.id and i.organization_id = $1`, x.organization())
	if err != nil {
		return fmt.Errorf("link invoices: %w", err)
	}
	for mode, last := range x.invoices {
		_, err := pool.Exec(ctx, `insert into invoice_numbers (organization_id, mode, last_number) values ($1, $2, $3)`,
			x.organization(), mode, last)
		if err != nil {
			return fmt.Errorf("number invoices: %w", err)
		}
	}
	return nil
}

func (x *filler) transferRow(i int) []any {
	p := x.payment(i)
	if p.status != wallet.PaymentSucceeded {
		return nil
	}
	return []any{
		x.account("stripe_clearing", x.mode(p.wallet)), x.walletID(p.wallet), p.amount, wallet.USD, "settlement", p.id,
		p.transaction, p.done,
	}
}

func (x *filler) eventRow(i int) []any {
	p := x.payment(i)
	name := map[wallet.PaymentStatus]string{
		wallet.PaymentSucceeded: "payment_intent.succeeded", wallet.PaymentFailed: "payment_intent.payment_failed",
		wallet.PaymentCanceled: "payment_intent.canceled", wallet.PaymentRequiresAction: "payment_intent.requires_action",
	}[p.status]
	if name == "" {
		return nil
	}
	intent := x.stripe("pi_", i)
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"data":{"object":{"id":%q,"object":"payment_intent","amount":%d,"currency":"usd","receipt_email":"person%d@mail.example"}}}`,
		x.stripe("evt_", i), name, intent, p.amount, p.wallet)
	received := p.done.Add(400 * time.Millisecond)
	return []any{
		x.stripe("evt_", i), x.mode(p.wallet), name, "2023-10-16", intent, intent, p.id, postgres.EventHandled, "webhook", []byte(body),
		p.done.Truncate(time.Second), received, received, received, nil, "the payment was settled before",
	}
}

// jobRow returns a job of a payment: one in three each charges the payment, handles its
// event or checks it. The last few are scheduled or retryable, and one in a thousand is
// discarded.
func (x *filler) jobRow(k int) []any {
	i := k
	if x.Payments > 0 {
		i = int(int64(k) * int64(x.Payments) / int64(x.Jobs))
	}
	p := madePayment{at: x.Until, done: x.Until}
	if x.Payments > 0 {
		p = x.payment(i)
	}
	kind, queue, args := "charge_payments", "charge", `{"payment_ids":["`+p.id.String()+`"]}`
	switch k % 3 {
	case 1:
		kind, queue, args = "handle_event", "settle", `{"event_id":"`+x.stripe("evt_", i)+`"}`
	case 2:
		kind, queue, args = "check_payment", "check", `{"payment_id":"`+p.id.String()+`"}`
	}
	const rare = 1000
	state, attempt := "completed", 1
	var finalized, attempted, errs any = p.done, p.at, nil
	switch {
	case k%rare == 7:
		state, attempt = "discarded", 12
		errs = []string{fmt.Sprintf(`{"at":%q,"attempt":12,"error":"unknown outcome: read tcp: i/o timeout","trace":""}`, p.done.Format(time.RFC3339Nano))}
	case x.Jobs-k <= 400 && k%6 == 2:
		state, attempt, finalized, attempted = "scheduled", 0, nil, nil
		p.at = x.Until.Add(time.Duration(k%3600) * time.Second)
	case x.Jobs-k <= 400 && k%9 == 0:
		state, attempt, finalized = "retryable", 3, nil
		errs = []string{`{"at":"2026-01-01T00:00:00Z","attempt":3,"error":"stripe is unavailable: 503","trace":""}`}
	}
	var by any
	if attempt > 0 {
		by = []string{"filled@127.0.0.1"}
	}
	return []any{
		x.firstJob + int64(k), state, attempt, 12, attempted, minTime(p.at, x.Until), finalized, p.at, args, by, errs, kind, queue,
	}
}

func minTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
