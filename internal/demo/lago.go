package demo

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/wallet"
)

// lagoRow is the part of a wallet transaction that the story shows.
type lagoRow struct {
	LagoID            wallet.ID `json:"lago_id"`
	Amount            string    `json:"amount"`
	CreditAmount      string    `json:"credit_amount"`
	Status            string    `json:"status"`
	TransactionStatus string    `json:"transaction_status"`
}

// runLago tops up the same wallet in Lago's dialect, with paid and with granted credits.
func runLago(ctx context.Context, s *story) error {
	return s.gained(ctx, 25_00, func() error {
		rows, err := s.topUp(ctx, "visa", "20.0", "5.0")
		if err != nil {
			return err
		}
		s.check(len(rows) == 2, "the answer has two transactions")
		if len(rows) != 2 {
			return nil
		}
		s.same("the second one", rows[1].TransactionStatus+" and "+rows[1].Status, "granted and settled")
		s.check(rows[0].TransactionStatus == "purchased" && rows[0].Status != "failed", "the first one is purchased, and the answer does not wait for the charge")
		s.line("A job charges the card in the background.")
		if err := s.await(ctx, func() (bool, error) {
			rows[0], err = s.lagoRow(ctx, rows[0].LagoID)
			return rows[0].Status == "settled", err
		}); err != nil {
			return err
		}
		s.same("the purchase", rows[0].Status, "settled")
		return s.booked(ctx, 2)
	})
}

// topUp buys and grants credits as a client of Lago does, and prints each transaction.
func (s *story) topUp(ctx context.Context, card, paid, granted string) ([]lagoRow, error) {
	body, err := json.Marshal(map[string]any{"wallet_transaction": map[string]any{
		"wallet_id": s.stack.Seed.WalletID, "paid_credits": paid, "granted_credits": granted,
		"payment_method": map[string]any{
			"payment_method_type": wallet.MethodProvider, "payment_method_id": s.stack.Seed.Cards[card].ID,
		},
	}})
	if err != nil {
		return nil, err
	}
	const path = "/api/v1/wallet_transactions"
	s.fact("sent", "%s %s  %s", http.MethodPost, path, body)
	began := s.now()
	r, err := s.call(ctx, http.MethodPost, s.stack.APIURL+path, body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Rows []lagoRow `json:"wallet_transactions"`
	}
	if err := json.Unmarshal(r.body, &answer); err != nil {
		return nil, err
	}
	lines := make([]string, len(answer.Rows))
	for i, row := range answer.Rows {
		lines[i] = row.TransactionStatus + " " + row.CreditAmount + " credits for " + row.Amount + ", " + row.Status
	}
	s.fact("answered", "%d %s %s", r.status, strings.Join(lines, "; "), s.paint(console.Faint, "("+round(s.now().Sub(began))+")"))
	s.same("the HTTP status", r.status, http.StatusOK)
	return answer.Rows, nil
}

// lagoRow retrieves a wallet transaction from the API.
func (s *story) lagoRow(ctx context.Context, id wallet.ID) (lagoRow, error) {
	r, err := s.call(ctx, http.MethodGet, s.stack.APIURL+"/api/v1/wallet_transactions/"+id.String(), nil)
	if err != nil {
		return lagoRow{}, err
	}
	var answer struct {
		Row lagoRow `json:"wallet_transaction"`
	}
	err = json.Unmarshal(r.body, &answer)
	return answer.Row, err
}
