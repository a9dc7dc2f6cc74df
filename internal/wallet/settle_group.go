package wallet

// SettleGroup decides on settlements one after another, as if each was stored before
// the decision on the next. The state at an index is the stored state of the
// settlement's payment. If states share a purchase, a wallet, an invoice or a card, a
// settlement sees what those before it changed. Each payment may appear once. A state
// without a payment id belongs to a payment that does not exist, and its changes are
// empty.
func SettleGroup(states []SettleState, list []Settlement) []SettleChanges {
	g := group{
		purchases: make(map[ID]PurchaseState), wallets: make(map[ID]BalanceState), invoices: make(map[ID]InvoiceState),
		cards: make(map[ID]CardState), barred: make(map[fingerprint]*CardDecline),
	}
	changes := make([]SettleChanges, len(list))
	for i, s := range states {
		if s.Payment.ID == (ID{}) {
			continue
		}
		changes[i] = Settle(g.current(s), list[i])
		g.remember(s.Payment, changes[i])
	}
	return changes
}

// group holds what the settlements of a group have changed so far.
type group struct {
	purchases map[ID]PurchaseState
	wallets   map[ID]BalanceState
	invoices  map[ID]InvoiceState
	cards     map[ID]CardState
	barred    map[fingerprint]*CardDecline
}

// fingerprint identifies a card of an organization in one mode.
type fingerprint struct {
	organizationID ID
	mode           Mode
	value          string
}

func fingerprintOf(p Payment, c CardState) fingerprint {
	return fingerprint{organizationID: p.OrganizationID, mode: p.Mode, value: c.Fingerprint}
}

// current returns the state with the changes of the group so far.
func (g group) current(s SettleState) SettleState {
	s.Purchase = changed(g.purchases, s.Purchase.ID, s.Purchase)
	s.Wallet = changed(g.wallets, s.Wallet.ID, s.Wallet)
	if s.Invoice != nil {
		s.Invoice = new(changed(g.invoices, s.Invoice.ID, *s.Invoice))
	}
	if s.Card != nil {
		card := changed(g.cards, s.Card.ID, *s.Card)
		if barred, ok := g.barred[fingerprintOf(s.Payment, card)]; ok {
			card.Barred = barred // perhaps by the same card, saved another time
		}
		s.Card = &card
	}
	return s
}

func changed[T any](known map[ID]T, id ID, stored T) T {
	if now, ok := known[id]; ok {
		return now
	}
	return stored
}

func (g group) remember(p Payment, c SettleChanges) {
	if c.Purchase != nil {
		g.purchases[c.Purchase.ID] = *c.Purchase
	}
	if c.Wallet != nil {
		g.wallets[c.Wallet.ID] = *c.Wallet
	}
	if c.Invoice != nil {
		g.invoices[c.Invoice.ID] = *c.Invoice
	}
	if c.Card != nil {
		g.cards[c.Card.ID] = *c.Card
		if c.Card.Fingerprint != "" {
			g.barred[fingerprintOf(p, *c.Card)] = c.Card.Barred
		}
	}
}
