package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Top-ups are decided by package topup. PrepareTopUp reads what it plans from, and
// MakeTopUp writes what it decides.

// PreparedTopUp is a top-up that may be made, with everything it writes.
type PreparedTopUp struct {
	topup.Request
	Wallet wallet.Wallet
	// Purchase is nil when nothing is paid for.
	Purchase *NewPayment
	// Idempotency is nil without a key.
	Idempotency *IdempotencyRecord

	plan topup.Plan
}

// WithKey returns the top-up with an idempotency key, which stands for the
// wallet transactions that the top-up makes. Nil is no key.
func (p PreparedTopUp) WithKey(key *IdempotencyRecord) PreparedTopUp {
	if key == nil {
		return p
	}
	record := *key
	record.ResultIDs = p.TransactionIDs()
	p.Idempotency = &record
	if p.Purchase != nil {
		purchase := *p.Purchase
		purchase.Idempotency = &record
		p.Purchase = &purchase
	}
	return p
}

// TransactionIDs are the wallet transactions that the top-up makes: the purchased,
// the granted and the voided one.
func (p PreparedTopUp) TransactionIDs() []wallet.ID { return p.plan.TransactionIDs() }

// Pending lists the wallet transactions as they are while it is not known whether the
// top-up was made.
func (p PreparedTopUp) Pending() []wallet.Transaction { return p.plan.Pending() }

// MovesCredits reports whether the top-up grants or voids.
func (p PreparedTopUp) MovesCredits() bool { return p.plan.MovesCredits() }

// OnlyCharges reports whether the top-up is a purchase that is charged, and nothing else.
// Its ids keep it from being stored twice, and it can share its transaction with others.
func (p PreparedTopUp) OnlyCharges() bool {
	return p.Purchase != nil && p.Purchase.Charged() && !p.MovesCredits()
}

// PrepareTopUp checks a top-up before anything is locked or written, as
// topup.Prepare does. Earlier has what the caller has found wrong already. The error
// is a *wallet.ValidationError when something is wrong. Ids that the request does not
// have are made here.
func PrepareTopUp(ctx context.Context, db DB, r topup.Request, earlier *wallet.ValidationError) (PreparedTopUp, error) {
	if r.IDs == (topup.IDs{}) {
		r.IDs = topup.NewIDs(wallet.NewID)
	}
	stored, err := readTopUp(ctx, db, r)
	if err != nil {
		return PreparedTopUp{}, err
	}
	plan, err := topup.Prepare(r, stored, earlier)
	if err != nil {
		return PreparedTopUp{}, err
	}
	return PreparedTopUp{Request: r, Wallet: plan.Wallet, Purchase: newPurchase(plan), plan: plan}, nil
}

// newPurchase returns the purchase of a plan as it is accepted, nil when there is
// none.
func newPurchase(p topup.Plan) *NewPayment {
	bought := p.Purchase
	if bought == nil {
		return nil
	}
	n := NewPayment{
		ID: p.IDs.Payment, WalletTransactionID: p.IDs.Purchase, OrganizationID: p.OrganizationID, Mode: p.Mode,
		WalletID: p.Wallet.ID, Amount: bought.Amount, Currency: p.Wallet.Currency, CreditAmount: bought.Credits,
		OffSession: true, CreatedAt: p.Now,
		Purchase: &Purchase{
			Name: p.Name, Priority: p.PriorityOrDefault(), Source: p.SourceOrManual(), PurchaseOrderNumber: p.PurchaseOrderNumber,
			InvoiceRequiresSuccessfulPayment: bought.RequiresPayment, Metadata: p.Metadata,
			MethodType: bought.Method.OrProvider(), MethodID: bought.Method.ID,
			SkipSections: p.Sections.Skip, Sections: p.Sections.List,
			InvoiceID: p.IDs.Invoice, InvoiceSections: bought.InvoiceSections,
			InvoicePurchaseOrderNumber: bought.PurchaseOrderNumber, CustomerID: p.Wallet.CustomerID,
			Description: bought.Description, RateAmount: p.Wallet.RateAmount, Timezone: bought.Timezone,
		},
	}
	if bought.Card != nil {
		n.PaymentMethodID = *bought.Card
	}
	return &n
}

// MakeTopUp writes a prepared top-up: the purchase with its payment and invoice,
// pending; the grant and the void, settled. It returns the movements of the grant and
// the void. What is refused now, because the wallet has changed, is a
// *wallet.ValidationError, and the caller rolls everything back. Made is false, and
// nothing is written, when the idempotency key is taken. The transaction must also
// insert the purchase's job, if it is charged.
func MakeTopUp(ctx context.Context, tx pgx.Tx, p PreparedTopUp) (moved []topup.Movement, made bool, err error) {
	// 1. The key comes first, so that a second request with it waits before it has
	// locked anything.
	switch {
	case p.Purchase != nil:
		accepted, err := AcceptPaymentsTx(ctx, tx, []NewPayment{*p.Purchase})
		if err != nil || !accepted[0] {
			return nil, false, err
		}
	case p.Idempotency != nil:
		claimed, err := ClaimIdempotencyKey(ctx, tx, p.OrganizationID, p.Mode, *p.Idempotency, p.Now)
		if err != nil || !claimed {
			return nil, false, err
		}
	}
	if !p.MovesCredits() {
		return nil, true, nil
	}
	// 2. The wallet is locked only for credits that move at once: a purchase changes
	// nothing in the wallet until it is settled.
	state, err := lockTopUp(ctx, tx, p.plan)
	if err != nil {
		return nil, false, err
	}
	changes, err := topup.Move(p.plan, state, wallet.NewID)
	if err != nil {
		return nil, false, err
	}
	if err := writeTopUp(ctx, tx, p.plan, changes); err != nil {
		return nil, false, err
	}
	return changes.Movements, true, nil
}

var (
	selectTopUpTarget   = statement("top_up.sql", "select_target")
	selectNamedCard     = statement("top_up.sql", "select_named_card")
	selectTopUpCustomer = statement("top_up.sql", "select_customer")
	insertMovement      = statement("top_up.sql", "insert_movement")
	insertMovementMoney = statement("top_up.sql", "insert_transfer")
)

// readTopUp reads everything that topup.Prepare looks at, in one round trip. It locks
// nothing.
func readTopUp(ctx context.Context, db DB, r topup.Request) (topup.Stored, error) {
	var (
		s       topup.Stored
		wallets []wallet.Wallet
		targets []topup.Target
		cards   []wallet.ID
		// Without a wallet there is no customer.
		customers []struct {
			Timezone    string     `db:"timezone"`
			DefaultCard *wallet.ID `db:"default_card"`
		}
		b       pgx.Batch
		ref     = WalletRef{OrganizationID: r.OrganizationID, Mode: r.Mode, ID: r.WalletID}
		ofOwner = func(args params) params {
			args["organization_id"], args["mode"] = r.OrganizationID, r.Mode
			return args
		}
	)
	b.Queue(selectWallet, ofOwner(params{"id": ref.ID})).Query(func(rows pgx.Rows) (err error) {
		wallets, err = pgx.CollectRows(rows, scanWallet)
		return err
	})
	b.Queue(selectTopUpCustomer, ofOwner(params{"wallet_id": r.WalletID})).Query(allRows(&customers))
	if r.VoidedTransactionID != nil {
		b.Queue(selectTopUpTarget, ofOwner(params{"id": *r.VoidedTransactionID})).Query(allRows(&targets))
	}
	if id, ok := parseCardID(r.PaymentMethod); ok {
		b.Queue(selectNamedCard, ofOwner(params{"id": id, "wallet_id": r.WalletID})).Query(func(rows pgx.Rows) (err error) {
			cards, err = pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
			return err
		})
	}
	if len(r.Sections.Codes) > 0 && !r.Sections.Skip {
		b.Queue(selectSections, ofOwner(params{"codes": r.Sections.Codes})).Query(sectionsOf(&s.Sections, r.Sections.Codes, r.Now))
	}
	if err := db.SendBatch(ctx, &b).Close(); err != nil {
		return s, fmt.Errorf("read for top-up of wallet %s: %w", ref, err)
	}
	if len(wallets) > 0 {
		s.Wallet = new(wallets[0].At(r.Now))
	}
	if len(customers) > 0 {
		s.Timezone, s.DefaultCard = customers[0].Timezone, customers[0].DefaultCard
	}
	if len(targets) > 0 {
		s.Target = &targets[0]
	}
	if len(cards) > 0 {
		s.NamedCard = &cards[0]
	}
	return s, nil
}

// lockTopUp locks the wallet, as settling a payment locks it, and reads what
// topup.Move decides on, in one round trip.
func lockTopUp(ctx context.Context, tx pgx.Tx, p topup.Plan) (topup.State, error) {
	var (
		s topup.State
		b pgx.Batch
	)
	b.Queue(selectWallet+lockingWallet, params{
		"organization_id": p.OrganizationID, "mode": p.Mode, "id": p.WalletID,
	}).Query(func(rows pgx.Rows) (err error) {
		s.Wallet, err = collectWallet(rows, p.WalletID.String())
		return err
	})
	// A statement of its own behind the lock: one that waits for a lock goes on to
	// read other rows as they were before it waited.
	voids := p.Void != nil && p.Wallet.Traceable
	if voids {
		b.Queue(readWalletLots, walletLotPage(p, 0)).Query(allRows(&s.Lots))
	}
	err := tx.SendBatch(ctx, &b).Close()
	if err == nil && voids {
		err = readMoreWalletLots(ctx, tx, p, &s)
	}
	if err != nil {
		return s, fmt.Errorf("lock wallet %s: %w", p.WalletID, err)
	}
	s.Wallet = s.Wallet.At(p.Now)
	return s, nil
}

// readMoreWalletLots reads on while the lots do not suffice for the void.
func readMoreWalletLots(ctx context.Context, tx pgx.Tx, p topup.Plan, s *topup.State) error {
	var left int64
	for _, l := range s.Lots {
		left += l.Remaining
	}
	for read := len(s.Lots); read == lotBatch && left < p.Void.Amount; {
		rows, _ := tx.Query(ctx, readWalletLots, walletLotPage(p, len(s.Lots)))
		page, err := pgx.CollectRows(rows, pgx.RowToStructByName[wallet.Lot])
		if err != nil {
			return fmt.Errorf("read lots of wallet %s: %w", p.WalletID, err)
		}
		for _, l := range page {
			left += l.Remaining
		}
		s.Lots = append(s.Lots, page...)
		read = len(page)
	}
	return nil
}

func walletLotPage(p topup.Plan, skip int) params {
	return params{"wallet_id": p.WalletID, "only": p.VoidedTransactionID, "size": lotBatch, "skip": skip}
}

// writeTopUp writes what was decided, in one round trip. It fails when a statement
// does not write every one of its rows, so that the caller's transaction is rolled
// back.
func writeTopUp(ctx context.Context, tx pgx.Tx, p topup.Plan, c topup.Changes) error {
	w := &writes{}
	// 1. The grant and the void: lines on the wallet's statement, then the transfers of
	// the ledger, which refer to them.
	for _, m := range c.Movements {
		w.queue(string(m.Kind), insertMovement, 1, movementArgs(p, m))
		if m.Amount > 0 { // a void of less than half a minor unit moves no money
			w.queue("transfer", insertMovementMoney, 1, movementTransferArgs(p, m))
		}
	}
	// 2. What the void took from other lines, one of which may be the grant.
	queueRows(w, "lots", updateLots, lotRows(c.Lots))
	w.queue("consumptions", insertConsumptions, len(c.Debits), withTime(c.Now, columnsOf(consumptionRows(c.Debits))))
	// 3. The sums.
	w.queue("wallet", updateWalletSums, 1, params{
		"id": c.Wallet.ID, "balance": c.Wallet.Balance, "balance_before": c.BalanceBefore,
		"credits_balance": c.Wallet.CreditsBalance, "consumed_credits": c.Wallet.ConsumedCredits,
		"last_consumed_credit_at": c.Wallet.LastConsumedCreditAt, "now": c.Now,
	})
	// 4. The deliveries come last, because they show the rows as they are now.
	w.announce(c.Announcements)
	if err := sendBatch(ctx, tx, &w.batch, w.check); err != nil {
		return fmt.Errorf("move credits of wallet %s: %w", c.Wallet.ID, err)
	}
	return nil
}

func movementArgs(p topup.Plan, m topup.Movement) params {
	args := params{
		"id": m.TransactionID, "organization_id": p.OrganizationID, "mode": p.Mode, "wallet_id": p.Wallet.ID,
		"transaction_type": wallet.TransactionInbound, "transaction_status": m.Kind, "amount": m.Amount,
		"credit_amount": m.Credits, "remaining_amount": m.Remaining, "now": p.Now, "name": nullable.From(p.Name),
		"priority": p.PriorityOrDefault(), "source": p.SourceOrManual(), "purchase_order_number": nullable.From(m.PurchaseOrderNumber),
		"metadata": nil, "skip_sections": m.Sections.Skip, "sections": sectionsOrNull(m.Sections),
	}
	if m.Kind == wallet.TransactionVoided {
		args["transaction_type"] = wallet.TransactionOutbound
	}
	if len(p.Metadata) > 0 {
		args["metadata"] = p.Metadata
	}
	return args
}

func movementTransferArgs(p topup.Plan, m topup.Movement) params {
	kind, account, intoWallet := "grant", "promotions", true
	if m.Kind == wallet.TransactionVoided {
		kind, account, intoWallet = "void", "voids", false
	}
	return params{
		"organization_id": p.OrganizationID, "mode": p.Mode, "wallet_id": p.Wallet.ID, "currency": p.Wallet.Currency,
		"kind": kind, "account": account, "into_wallet": intoWallet, "amount": m.Amount,
		"wallet_transaction_id": m.TransactionID, "now": p.Now,
	}
}
