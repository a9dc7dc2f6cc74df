package api

import (
	"context"
	"time"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// lookups read what every request needs to know. Requests that come while a
// query is under way share the next one: under load that is most of what a
// request costs in the database. Nothing is remembered, so a key that was revoked
// is refused at once, in every process.
type lookups struct {
	callers *batch.Writer[string, *postgres.Caller]
	cards   *batch.Writer[postgres.CardOf, bool]
	// spendings is no look-up: it tells what was spent of rate limits.
	spendings *exchange
}

func (s *Server) newLookups() lookups {
	ctx := context.Background() // each caller brings the context that ends its wait
	return lookups{
		callers: batch.NewWriter(ctx, func(ctx context.Context, keys []string) ([]*postgres.Caller, error) {
			return postgres.GetCallers(ctx, s.DB, keys, s.Now())
		}, batch.Config[string]{}),
		cards: batch.NewWriter(ctx, func(ctx context.Context, questions []postgres.CardOf) ([]bool, error) {
			return postgres.OwnCards(ctx, s.DB, questions)
		}, batch.Config[postgres.CardOf]{}),
		spendings: batch.NewWriter(ctx, func(ctx context.Context, list []postgres.Spending) ([]time.Time, error) {
			return postgres.ShareSpendings(ctx, s.DB, list)
		}, batch.Config[postgres.Spending]{Key: func(p postgres.Spending) string { return p.Name + p.APIKeyID.String() }}),
	}
}

// OwnsCard reports whether a saved card belongs to the caller's customer.
func (s *Server) OwnsCard(ctx context.Context, caller postgres.Caller, paymentMethodID wallet.ID) (bool, error) {
	return s.lookups.cards.Do(ctx, postgres.CardOf{CustomerID: caller.CustomerID, PaymentMethodID: paymentMethodID})
}
