package wallet_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// TestMethodRequestChoice holds Lago's table of what may be sent.
func TestMethodRequestChoice(t *testing.T) {
	t.Parallel()

	known := wallet.NewID()
	find := func(s string) (wallet.ID, bool) { return known, s == known.String() }
	id := func(s string) *string { return &s }
	auto, card, manual := wallet.MethodChoice{Type: wallet.MethodProvider},
		wallet.MethodChoice{Type: wallet.MethodProvider, ID: &known}, wallet.MethodChoice{Type: wallet.MethodManual}
	for name, tc := range map[string]struct {
		request wallet.MethodRequest
		want    wallet.MethodChoice
		invalid bool
	}{
		"Absent":               {},
		"BothBlank":            {request: wallet.MethodRequest{Type: " ", ID: id("")}},
		"ProviderWithoutID":    {request: wallet.MethodRequest{Type: "provider"}, want: auto},
		"ProviderFound":        {request: wallet.MethodRequest{Type: "provider", ID: id(known.String())}, want: card},
		"ProviderEmptyID":      {request: wallet.MethodRequest{Type: "provider", ID: id("")}, invalid: true},
		"ProviderNotFound":     {request: wallet.MethodRequest{Type: "provider", ID: id(wallet.NewID().String())}, invalid: true},
		"ProviderMalformed":    {request: wallet.MethodRequest{Type: "provider", ID: id("pm_1")}, invalid: true},
		"ManualWithoutID":      {request: wallet.MethodRequest{Type: "manual"}, want: manual},
		"ManualEmptyID":        {request: wallet.MethodRequest{Type: "manual", ID: id("")}, want: manual},
		"ManualNotFound":       {request: wallet.MethodRequest{Type: "manual", ID: id("pm_1")}, want: manual},
		"ManualFound":          {request: wallet.MethodRequest{Type: "manual", ID: id(known.String())}, invalid: true},
		"OtherType":            {request: wallet.MethodRequest{Type: "card"}, invalid: true},
		"OtherCase":            {request: wallet.MethodRequest{Type: "Provider"}, invalid: true},
		"BlankTypeWithID":      {request: wallet.MethodRequest{ID: id(known.String())}, invalid: true},
		"BlankTypeWithOtherID": {request: wallet.MethodRequest{ID: id("pm_1")}, invalid: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, ok := tc.request.Choice(find)

			require.Equal(t, !tc.invalid, ok)
			if ok {
				require.Equal(t, tc.want, got)
			}
		})
	}
}

func TestChooseMethod(t *testing.T) {
	t.Parallel()

	a, b, c := wallet.NewID(), wallet.NewID(), wallet.NewID()
	none, manual := wallet.MethodChoice{}, wallet.MethodChoice{Type: wallet.MethodManual}
	auto := wallet.MethodChoice{Type: wallet.MethodProvider}
	card := func(id wallet.ID) wallet.MethodChoice {
		return wallet.MethodChoice{Type: wallet.MethodProvider, ID: &id}
	}
	for name, tc := range map[string]struct {
		purchase, owner wallet.MethodChoice
		customer, want  *wallet.ID
	}{
		"PurchaseFirst":        {purchase: card(a), owner: card(b), customer: &c, want: &a},
		"PurchaseManual":       {purchase: manual, owner: card(b), customer: &c},
		"PurchaseBeatsManual":  {purchase: card(a), owner: manual, customer: &c, want: &a},
		"WalletNext":           {purchase: auto, owner: card(b), customer: &c, want: &b},
		"WalletManual":         {purchase: auto, owner: manual, customer: &c},
		"CustomerLast":         {purchase: none, owner: auto, customer: &c, want: &c},
		"NobodyHasACard":       {purchase: auto, owner: auto},
		"NothingChosenAtAll":   {customer: &c, want: &c},
		"ManualOnBothIsManual": {purchase: manual, owner: manual, customer: &c},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			require.Equal(t, tc.want, wallet.ChooseMethod(tc.purchase, tc.owner, tc.customer))
		})
	}
}
