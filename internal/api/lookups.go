package api

import (
	"context"
	"time"

	"github.com/fundrail/fundrail/internal/batch"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// lookups read what every request needs. Requests that come while a query is under
// way share the next query, because under load these queries are most of what a
// request costs in the database. Nothing is cached: a revoked key is refused at
// once, in every process.
type lookups struct {
	callers *batch.Writer[string, *postgres.Caller]
	cards   *batch.Writer[postgres.CardOf, bool]
	// spendings is no look-up: it writes what was spent of rate limits.
	spendings *spendingWriter
}

func (s *Server) newLookups() lookups {
	ctx := context.Background() // each caller brings the context that ends its wait
	return lookups{
		callers: batch.NewWriter(ctx, func(ctx context.Context, keys []string) ([]*postgres.Caller, error) {
			return postgres.GetCallers(ctx, s.lookUpPool(), keys, s.Now())
		}, batch.Config[string]{Judge: judgeLookUp}),
		cards: batch.NewWriter(ctx, func(ctx context.Context, questions []postgres.CardOf) ([]bool, error) {
			return postgres.OwnCards(ctx, s.lookUpPool(), questions)
		}, batch.Config[postgres.CardOf]{Judge: judgeLookUp}),
		spendings: batch.NewWriter(ctx, func(ctx context.Context, list []postgres.Spending) ([]time.Time, error) {
			return postgres.ShareSpendings(ctx, s.DB, list)
		}, batch.Config[postgres.Spending]{
			Key: func(p postgres.Spending) string { return p.Name + p.APIKeyID.String() }, Judge: judgeLookUp,
		}),
	}
}

// judgeLookUp says what the error of a group means for its members. While the database
// does not answer, each member alone would wait for it as long as the group did, one
// after another.
func judgeLookUp(err error) batch.Verdict {
	if postgres.Unavailable(err) {
		return batch.Failed
	}
	return batch.Refused
}

// OwnsCard reports whether a saved card belongs to the caller's customer.
func (s *Server) OwnsCard(ctx context.Context, caller postgres.Caller, paymentMethodID wallet.ID) (bool, error) {
	return s.lookups.cards.Do(ctx, postgres.CardOf{CustomerID: caller.CustomerID, PaymentMethodID: paymentMethodID})
}
