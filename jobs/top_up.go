package jobs

import (
	"context"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/requestid"
	"github.com/fundrail/fundrail/internal/topup"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TopUp makes a prepared top-up, and the job that charges its purchase, in one
// transaction. The result is false, and nothing is stored, when its idempotency
// key is taken. What cannot be taken out of the wallet any more is a
// wallet.ValidationError, and nothing is stored either. The error is a
// postgres.DoubtError when the top-up may have been made. A top-up that moves credits
// needs an idempotency key to be sent again safely.
func (e *Engine) TopUp(ctx context.Context, p postgres.PreparedTopUp) (bool, error) {
	if p.OnlyCharges() {
		return e.Accept(ctx, *p.Purchase) // and so shares its transaction with others
	}
	var (
		moved []topup.Movement
		made  bool
	)
	err := e.inTxWithCharge(context.WithoutCancel(ctx), func(ctx context.Context, tx pgx.Tx) (*postgres.NewPayment, error) {
		var err error
		moved, made, err = e.makeTopUp(ctx, tx, p)
		if err != nil {
			return nil, err
		}
		if !made {
			return nil, postgres.ErrKeyTaken
		}
		return p.Purchase, nil
	})
	if made && err == nil {
		e.logMovements(ctx, p.Wallet, moved)
	}
	return made && err == nil, err
}

func (e *Engine) logMovements(ctx context.Context, w wallet.Wallet, moved []topup.Movement) {
	for _, m := range moved {
		e.Log.InfoContext(ctx, "credits moved",
			slog.String("wallet_transaction_id", m.TransactionID.String()),
			slog.String("request_id", requestid.From(ctx)),
			slog.String("wallet_id", w.ID.String()),
			slog.String("transfer", string(m.Kind)),
			slog.Int64("amount", m.Amount),
			slog.String("credits", m.Credits.String()),
			slog.String("currency", string(w.Currency)))
	}
}

// CreateWallet makes a wallet and its opening top-up in one transaction, with the
// job that charges the purchase if there is one. The wallet is returned as it was
// before the top-up, whose own WalletID is not looked at. Its id is made here
// unless it has one already. The second result is
// false, and nothing is stored, when the idempotency key is taken; what a key
// stands for is the wallet's id. What is wrong with the wallet or the top-up is a
// wallet.ValidationError, into which goes also what the caller has found wrong.
func (e *Engine) CreateWallet(ctx context.Context, n postgres.NewWallet, opening topup.Request, key *postgres.IdempotencyRecord, v *wallet.ValidationError) (wallet.Wallet, bool, error) {
	var (
		w     wallet.Wallet
		moved []topup.Movement
		made  bool
	)
	if n.Wallet.ID == (wallet.ID{}) {
		n.Wallet.ID = wallet.NewID()
	}
	err := e.inTxWithCharge(context.WithoutCancel(ctx), func(ctx context.Context, tx pgx.Tx) (*postgres.NewPayment, error) {
		if key != nil {
			record := *key
			record.ResultIDs = []wallet.ID{n.Wallet.ID}
			claimed, err := postgres.ClaimIdempotencyKey(ctx, tx, n.Wallet.OrganizationID, n.Wallet.Mode, record, n.Wallet.CreatedAt)
			if err != nil {
				return nil, err
			}
			if !claimed {
				return nil, postgres.ErrKeyTaken
			}
		}
		var err error
		if w, err = postgres.CreateWallet(ctx, tx, n, v); err != nil {
			return nil, err
		}
		made = true
		if !opening.Wanted() {
			return nil, nil
		}
		opening.WalletID = w.ID
		prepared, err := postgres.PrepareTopUp(ctx, tx, opening, v)
		if err != nil {
			return nil, err
		}
		moved, _, err = e.makeTopUp(ctx, tx, prepared)
		return prepared.Purchase, err
	})
	if made && err == nil {
		e.logMovements(ctx, w, moved)
	}
	return w, made && err == nil, err
}

func (e *Engine) makeTopUp(ctx context.Context, tx pgx.Tx, p postgres.PreparedTopUp) ([]topup.Movement, bool, error) {
	if p.Purchase != nil {
		purchase := *p.Purchase // the caller may read it while another attempt is made
		e.complete(ctx, &purchase)
		p.Purchase = &purchase
	}
	return postgres.MakeTopUp(ctx, tx, p)
}

// inTxWithCharge runs a transaction that may store a purchase, and inserts the
// purchase's job if it is one that is charged.
func (e *Engine) inTxWithCharge(ctx context.Context, do func(ctx context.Context, tx pgx.Tx) (*postgres.NewPayment, error)) error {
	var charged bool
	err := e.inTx(ctx, func(tx pgx.Tx) error {
		p, err := do(ctx, tx)
		if err != nil || p == nil || !p.Charged() {
			return err
		}
		charged = true
		return e.insertJobs(ctx, tx, []river.InsertManyParams{{Args: ChargePaymentsArgs{PaymentIDs: []wallet.ID{p.ID}}}})
	})
	if err == nil && charged {
		e.wakes.wake(QueueCharge)
	}
	return err
}
