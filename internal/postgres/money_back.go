package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// ErrOvertaken reports an answer of Stripe's that was not applied, because
// another one was while it was under way and may be the newer of the two. Stripe
// has to be asked again.
var ErrOvertaken = errors.New("another answer was applied meanwhile")

// ErrNotCredited reports a payment whose money is not in the wallet, and so
// cannot leave it.
var ErrNotCredited = errors.New("the payment is not credited")

// MoneyBack is what Stripe says now of refunds and disputes of one payment.
type MoneyBack struct {
	PaymentID wallet.ID
	// Version is what MoneyBackVersion said before Stripe was asked.
	Version  int64
	Refunds  []wallet.RefundState
	Disputes []wallet.DisputeState
	Now      time.Time
}

// MoneyBackVersion counts the answers about refunds and disputes that were
// applied to a payment. An unknown payment is CodePaymentNotFound.
func MoneyBackVersion(ctx context.Context, db DB, paymentID wallet.ID) (int64, error) {
	var version int64
	err := db.QueryRow(ctx, `select money_back_version from payments where id = $1`, paymentID).Scan(&version)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
	}
	if err != nil {
		return 0, fmt.Errorf("find payment %s: %w", paymentID, err)
	}
	return version, nil
}

// Booking is a change of what a refund or dispute has debited.
type Booking struct {
	// Kind is the transfer's: refund, refund_reversal, dispute, dispute_reversal.
	Kind string
	// ID is ours, of the refund or dispute, and StripeID Stripe's.
	ID       wallet.ID
	StripeID string
	Amount   int64 // minor units
	// BalanceAfter is the wallet's balance after it.
	BalanceAfter int64
}

// ApplyMoneyBack is the one way in which refunds and disputes become state. It
// stores what Stripe says of them, works out from that how much each debits the
// wallet in all, and books the differences to what each has debited so far. Applied
// again it books nothing, and in whichever order answers come, the last one decides.
// All refunds and disputes of the payment are looked at together, because the same
// money cannot go back twice.
//
// It returns ErrOvertaken when another answer was applied since Version, and
// ErrNotCredited while the payment has not succeeded.
func ApplyMoneyBack(ctx context.Context, tx pgx.Tx, m MoneyBack) ([]Booking, error) {
	b, err := lockMoneyBack(ctx, tx, m.PaymentID, m.Now)
	if err != nil {
		return nil, err
	}
	if b.version != m.Version {
		return nil, ErrOvertaken
	}
	for _, s := range m.Refunds {
		b.takeRefund(s)
	}
	for _, s := range m.Disputes {
		b.takeDispute(s)
	}
	b.version++
	bookings, err := b.book(ctx, tx)
	if err != nil || len(bookings) == 0 {
		return bookings, err
	}
	return bookings, b.announce(ctx, tx, bookings)
}

// moneyBackEvents are what merchants are told of bookings, by their kind.
var moneyBackEvents = map[string]wallet.EventType{
	"dispute":          wallet.EventPaymentDisputed,
	"dispute_reversal": wallet.EventPaymentDisputeReversed,
	"refund":           wallet.EventPaymentRefunded,
	"refund_reversal":  wallet.EventPaymentRefundReversed,
}

// announce tells merchants of the bookings.
func (b *moneyBack) announce(ctx context.Context, tx pgx.Tx, bookings []Booking) error {
	p := b.payment
	w := wallet.Wallet{ID: p.WalletID, OrganizationID: p.OrganizationID, Mode: p.Mode}
	var list []wallet.Announcement
	for _, k := range bookings {
		a := wallet.AnnounceWallet(moneyBackEvents[k.Kind], w, b.now)
		a.ObjectID, a.PaymentID, a.Amount, a.Traceparent = p.ID, &p.ID, &k.Amount, p.Traceparent
		list = append(list, a)
	}
	for _, id := range b.lines {
		list = append(list, wallet.AnnounceTransaction(wallet.EventTransactionCreated, id, w, b.now))
	}
	return announce(ctx, tx, append(list, wallet.AnnounceWallet(wallet.EventWalletBalanceUpdated, w, b.now))...)
}

// moneyBack is a payment with everything that has gone back of it, its rows
// locked.
type moneyBack struct {
	payment  wallet.Payment
	version  int64
	lot      wallet.ID // the wallet transaction that the payment settled
	credited int64     // what was credited for the payment
	credits  decimal.Decimal
	priority int

	gone                     int64 // what has been debited for the payment
	balance                  int64
	traceable                bool
	creditsBalance, consumed decimal.Decimal

	returns []*moneyReturn
	lines   []wallet.ID // the wallet transactions of what was booked
	now     time.Time
}

// moneyReturn is one refund or dispute.
type moneyReturn struct {
	refund  *wallet.Refund // one of the two
	dispute *wallet.Dispute
	changed bool
}

func (r *moneyReturn) debited() *int64 {
	if r.refund != nil {
		return &r.refund.Debited
	}
	return &r.dispute.Debited
}

// wanted is what it debits in all when there is enough.
func (r *moneyReturn) wanted() int64 {
	if r.refund != nil {
		return r.refund.Wanted()
	}
	return r.dispute.Wanted()
}

// lockMoneyBack locks the payment, then its wallet, as settling does, and reads
// what hangs on them.
func lockMoneyBack(ctx context.Context, tx pgx.Tx, paymentID wallet.ID, now time.Time) (*moneyBack, error) {
	b := &moneyBack{now: now}
	for _, lock := range []string{lockPayments, lockWallets} {
		if _, err := tx.Exec(ctx, lock, pgx.StrictNamedArgs{"ids": []wallet.ID{paymentID}}); err != nil {
			return nil, fmt.Errorf("lock payment %s: %w", paymentID, err)
		}
	}
	var err error
	if b.payment, err = GetPayment(ctx, tx, paymentID); err != nil {
		return nil, err
	}
	if b.payment.Status != wallet.PaymentSucceeded {
		return nil, ErrNotCredited
	}
	err = tx.QueryRow(ctx, `
		select p.money_back_version, p.refunded + p.disputed, t.id, t.amount, t.credit_amount, t.priority,
			w.balance, w.credits_balance, w.consumed_credits, w.traceable
		from payments p
		join wallet_transactions t on t.id = p.wallet_transaction_id
		join wallets w on w.id = p.wallet_id
		where p.id = $1`, paymentID).
		Scan(&b.version, &b.gone, &b.lot, &b.credited, &b.credits, &b.priority,
			&b.balance, &b.creditsBalance, &b.consumed, &b.traceable)
	if err != nil {
		return nil, fmt.Errorf("find payment %s: %w", paymentID, err)
	}
	refunds, err := RefundsOf(ctx, tx, paymentID)
	if err != nil {
		return nil, err
	}
	for _, r := range refunds {
		b.returns = append(b.returns, &moneyReturn{refund: &r})
	}
	disputes, err := DisputesOf(ctx, tx, paymentID)
	for _, d := range disputes {
		b.returns = append(b.returns, &moneyReturn{dispute: &d})
	}
	return b, err
}

// takeRefund takes over what Stripe says of a refund. One that was asked for here
// is known by the id that Stripe keeps for us, until it has Stripe's.
func (b *moneyBack) takeRefund(s wallet.RefundState) {
	at := slices.IndexFunc(b.returns, func(r *moneyReturn) bool { return r.refund != nil && r.refund.StripeRefundID == s.ID })
	if at < 0 {
		at = slices.IndexFunc(b.returns, func(r *moneyReturn) bool {
			return r.refund != nil && r.refund.StripeRefundID == "" && r.refund.ID == s.RefundID && r.refund.Amount == s.Amount
		})
	}
	if at < 0 {
		p := b.payment
		b.returns = append(b.returns, &moneyReturn{refund: &wallet.Refund{
			ID: wallet.NewID(), OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID,
			Amount: s.Amount, Currency: p.Currency, CreatedAt: b.madeAt(s.CreatedAt),
		}})
		at = len(b.returns) - 1
	}
	r := b.returns[at]
	before := *r.refund
	r.refund.StripeRefundID, r.refund.Status, r.refund.FailureReason = s.ID, orUnknown(s.Status), s.FailureReason
	r.changed = r.changed || *r.refund != before
}

func (b *moneyBack) takeDispute(s wallet.DisputeState) {
	at := slices.IndexFunc(b.returns, func(r *moneyReturn) bool { return r.dispute != nil && r.dispute.StripeDisputeID == s.ID })
	if at < 0 {
		p := b.payment
		b.returns = append(b.returns, &moneyReturn{dispute: &wallet.Dispute{
			ID: wallet.NewID(), OrganizationID: p.OrganizationID, Mode: p.Mode, WalletID: p.WalletID, PaymentID: p.ID,
			StripeDisputeID: s.ID, Currency: p.Currency, CreatedAt: b.madeAt(s.CreatedAt),
		}})
		at = len(b.returns) - 1
	}
	r := b.returns[at]
	d := r.dispute
	before := *d
	d.Amount, d.Status, d.Reason = s.Amount, orUnknown(s.Status), s.Reason
	d.Withdrawn, d.Reinstated, d.FundsCurrency = s.Withdrawn, s.Reinstated, s.FundsCurrency
	r.changed = r.changed || *d != before
}

// madeAt is when Stripe says that something was made, or now if it does not say.
func (b *moneyBack) madeAt(at time.Time) time.Time {
	if at.IsZero() {
		return b.now
	}
	return at
}

// orUnknown stands in for a status that is no word.
func orUnknown[S ~string](s S) S {
	if s == "" {
		return "unknown"
	}
	return s
}

// book brings what each refund and dispute has debited to what it is to debit, and
// writes everything that has changed.
func (b *moneyBack) book(ctx context.Context, tx pgx.Tx) ([]Booking, error) {
	slices.SortStableFunc(b.returns, compareReturns)
	wanted := make([]int64, len(b.returns))
	for i, r := range b.returns {
		wanted[i] = r.wanted()
	}
	var bookings []Booking
	for i, share := range wallet.ShareDebits(b.credited, wanted) {
		r := b.returns[i]
		difference := share - *r.debited()
		*r.debited() = share
		if r.changed || difference != 0 {
			if err := b.save(ctx, tx, r); err != nil {
				return nil, err
			}
		}
		if difference == 0 {
			continue
		}
		booking, err := b.transfer(ctx, tx, r, difference)
		if err != nil {
			return nil, err
		}
		bookings = append(bookings, booking)
	}
	return bookings, b.saveSums(ctx, tx, len(bookings) > 0)
}

// compareReturns puts refunds before disputes, each in the order in which they
// were made, so that the shares do not depend on the order in which we hear of them.
func compareReturns(a, b *moneyReturn) int {
	switch {
	case a.refund != nil && b.refund != nil:
		if c := a.refund.CreatedAt.Compare(b.refund.CreatedAt); c != 0 {
			return c
		}
		return strings.Compare(a.refund.ID.String(), b.refund.ID.String())
	case a.refund != nil:
		return -1
	case b.refund != nil:
		return 1
	}
	if c := a.dispute.CreatedAt.Compare(b.dispute.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(a.dispute.StripeDisputeID, b.dispute.StripeDisputeID)
}

// save writes the row of a refund or dispute.
func (b *moneyBack) save(ctx context.Context, tx pgx.Tx, r *moneyReturn) error {
	if r.refund != nil {
		r.refund.UpdatedAt = b.now
		return saveRefund(ctx, tx, *r.refund)
	}
	d := r.dispute
	d.UpdatedAt = b.now
	_, err := tx.Exec(ctx, `
		insert into disputes (id, organization_id, mode, wallet_id, payment_id, stripe_dispute_id, amount, currency, status, reason,
			withdrawn, reinstated, funds_currency, debited, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, nullif($10, ''), $11, $12, nullif($13, ''), $14, $15, $16)
		on conflict (id) do update
		set amount = excluded.amount, status = excluded.status, reason = excluded.reason, withdrawn = excluded.withdrawn,
			reinstated = excluded.reinstated, funds_currency = excluded.funds_currency, debited = excluded.debited,
			updated_at = excluded.updated_at`,
		d.ID, d.OrganizationID, d.Mode, d.WalletID, d.PaymentID, d.StripeDisputeID, d.Amount, d.Currency, d.Status, d.Reason,
		d.Withdrawn, d.Reinstated, string(d.FundsCurrency), d.Debited, d.CreatedAt, d.UpdatedAt)
	if err != nil {
		return fmt.Errorf("save dispute %s: %w", d.StripeDisputeID, err)
	}
	return nil
}

// saveSums writes what the bookings have made of the payment and its wallet.
func (b *moneyBack) saveSums(ctx context.Context, tx pgx.Tx, moved bool) error {
	var refunded, disputed int64
	for _, r := range b.returns {
		if r.refund != nil {
			refunded += r.refund.Debited
		} else {
			disputed += r.dispute.Debited
		}
	}
	_, err := tx.Exec(ctx, `
		update payments set money_back_version = $2, refunded = $3, disputed = $4, updated_at = case when $6 then $5 else updated_at end
		where id = $1`, b.payment.ID, b.version, refunded, disputed, b.now, moved)
	if err != nil {
		return fmt.Errorf("save what went back of payment %s: %w", b.payment.ID, err)
	}
	if !moved {
		return nil
	}
	_, err = tx.Exec(ctx, `
		update wallets
		set balance = $2, credits_balance = $3, last_consumed_credit_at = case when consumed_credits = $4 then last_consumed_credit_at else $5 end,
			consumed_credits = $4, last_balance_sync_at = $5, updated_at = $5
		where id = $1`, b.payment.WalletID, b.balance, b.creditsBalance, b.consumed, b.now)
	if err != nil {
		return fmt.Errorf("debit wallet %s: %w", b.payment.WalletID, err)
	}
	return nil
}
