package lava

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// walletResource is the authenticated wallet.
type walletResource struct {
	WalletID string `json:"wallet_id"`
	Balance  string `json:"balance"`
}

// showWallet answers GET /v1/wallet with what can be spent now.
func (d *Dialect) showWallet(c echo.Context, caller postgres.Caller) error {
	w, err := postgres.GetWallet(c.Request().Context(), d.LookUps(), caller.WalletID)
	if err != nil {
		return err
	}
	return api.WriteJSON(c, http.StatusOK, walletResource{
		WalletID: wallet.Spell(wallet.PrefixWallet, w.Mode, w.ID),
		Balance:  wallet.FormatMinor(w.Balance, w.Currency),
	})
}
