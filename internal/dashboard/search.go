package dashboard

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

// spell returns a payment's id as the Lava dialect spells it.
func (r *request) spell(id wallet.ID) string { return wallet.Spell(wallet.PrefixPayment, r.mode, id) }

type searchPage struct {
	Query     string
	Payments  []views.PaymentRow
	Wallets   []views.WalletRow
	Customers []views.CustomerRow
	Events    []views.EventRow
	Jobs      []views.JobRow
	// Elsewhere is the other mode if the search would find something there.
	Elsewhere wallet.Mode
	// Hint explains what was not searched.
	Hint string
}

// N returns the number of results.
func (p searchPage) N() int {
	return len(p.Payments) + len(p.Wallets) + len(p.Customers) + len(p.Events) + len(p.Jobs)
}

// only returns the path of the only result, empty if there is not exactly one.
func (p searchPage) only(r *request) string {
	switch {
	case p.N() != 1:
		return ""
	case len(p.Payments) == 1:
		return r.path("/payments/" + p.Payments[0].ID.String())
	case len(p.Wallets) == 1:
		return r.path("/wallets/" + p.Wallets[0].ID.String())
	case len(p.Customers) == 1:
		return r.path("/customers/" + p.Customers[0].ID.String())
	case len(p.Events) == 1:
		return r.path("/events/" + p.Events[0].ID)
	default:
		return r.path("/jobs/" + strconv.FormatInt(p.Jobs[0].ID, 10))
	}
}

// search answers GET /admin/{mode}/search, which finds every kind of id. It redirects to
// the result if there is only one.
func (d *Dashboard) search(r *request) error {
	const longest = 255
	page := searchPage{Query: strings.TrimSpace(r.QueryParam("q"))}
	if len(page.Query) > longest {
		return refuse(http.StatusUnprocessableEntity, "Search text too long", "The search text may have at most 255 characters.")
	}
	if page.Query != "" {
		if err := d.find(r, &page); err != nil {
			return err
		}
		if target := page.only(r); target != "" {
			return r.Redirect(http.StatusSeeOther, target)
		}
	}
	return r.view("Search", "search", page).ok("search")
}

var (
	amountAndDay = regexp.MustCompile(`^(\d[\d,]*(?:\.\d{1,3})?)(?:\s+(\d{4}-\d{2}-\d{2}|today|yesterday))?$`)
	fourDigits   = regexp.MustCompile(`^\d{4}$`)
	wholeNumber  = regexp.MustCompile(`^\d{1,18}$`)
)

func (d *Dashboard) find(r *request, page *searchPage) error {
	q := page.Query
	id, spelledFor := anyID(q)
	for _, look := range []func(*request, *searchPage, wallet.ID) error{d.findIDs, d.findNumbers, d.findAmounts} {
		if err := look(r, page, id); err != nil {
			return err
		}
	}
	if page.N() > 0 {
		return nil
	}
	if spelledFor != "" && spelledFor != r.mode {
		page.Elsewhere = spelledFor
		return nil
	}
	places, err := views.Locate(r.ctx(), d.Pool, id, q)
	if err != nil {
		return err
	}
	for _, p := range places {
		if p.Mode != r.mode {
			page.Elsewhere = p.Mode
		}
	}
	return nil
}

// anyID parses an id in any spelling. It returns the zero id if the text is none. The second
// result is the mode that the spelling contains, if any.
func anyID(text string) (wallet.ID, wallet.Mode) {
	if id, ok := isUUID(text); ok {
		return id, ""
	}
	for _, prefix := range []wallet.Prefix{
		wallet.PrefixCustomer, wallet.PrefixPayment, wallet.PrefixPaymentMethod, wallet.PrefixRefund, wallet.PrefixWallet,
	} {
		for _, mode := range wallet.Modes {
			if id, err := wallet.ParseID(prefix, mode, text); err == nil {
				return id, mode
			}
		}
	}
	return wallet.ID{}, ""
}

// findIDs searches for an id of ours, Stripe's or the merchant's.
func (d *Dashboard) findIDs(r *request, page *searchPage, id wallet.ID) error {
	q := page.Query
	var err error
	if page.Payments, err = views.SearchPayments(r.ctx(), d.Pool, r.mode, id, q); err != nil {
		return err
	}
	if len(page.Payments) == 0 {
		if page.Payments, err = views.SearchPaymentsByKey(r.ctx(), d.Pool, r.mode, q); err != nil {
			return err
		}
	}
	email := ""
	if strings.Contains(q, "@") {
		if email = q; !r.user.Role.Includes(postgres.RoleSupport) {
			email, page.Hint = "", "Searching for e-mail addresses requires the role support."
		}
	}
	if page.Customers, err = views.SearchCustomers(r.ctx(), d.Pool, r.mode, id, q, email); err != nil {
		return err
	}
	if id != (wallet.ID{}) {
		w, err := views.GetWalletRow(r.ctx(), d.Pool, r.mode, id)
		switch {
		case err == nil:
			page.Wallets = append(page.Wallets, w)
		case !wallet.HasCode(err, wallet.CodeNotFound):
			return err
		}
	}
	if prefix, _, ok := strings.Cut(q, "_"); ok && prefix != "pay" && prefix != "wal" {
		page.Events, err = views.SearchEvents(r.ctx(), d.Pool, r.mode, q)
	}
	return err
}

// findNumbers searches for jobs and for the last digits of cards.
func (d *Dashboard) findNumbers(r *request, page *searchPage, _ wallet.ID) error {
	if wholeNumber.MatchString(page.Query) {
		n, err := strconv.ParseInt(page.Query, 10, 64)
		if err != nil {
			return nil //nolint:nilerr // then it is not the id of a job
		}
		j, err := views.GetJob(r.ctx(), d.Pool, r.mode, n)
		switch {
		case err == nil:
			page.Jobs = append(page.Jobs, j)
		case !wallet.HasCode(err, wallet.CodeNotFound):
			return err
		}
	}
	if !fourDigits.MatchString(page.Query) {
		return nil
	}
	if !r.user.Role.Includes(postgres.RoleSupport) {
		page.Hint = "Searching for the digits of cards requires the role support."
		return nil
	}
	list, err := views.SearchPaymentsByCard(r.ctx(), d.Pool, r.mode, page.Query)
	page.Payments = append(page.Payments, list...)
	return err
}

// findAmounts searches for payments of an amount on a day, such as "25.00 2026-03-14". The
// amount is in major units of the payment's currency.
func (d *Dashboard) findAmounts(r *request, page *searchPage, _ wallet.ID) error {
	m := amountAndDay.FindStringSubmatch(page.Query)
	if m == nil || m[2] == "" && !strings.Contains(m[1], ".") {
		return nil
	}
	amount, err := decimal.NewFromString(strings.ReplaceAll(m[1], ",", ""))
	if err != nil {
		return nil //nolint:nilerr // then it is not an amount
	}
	from, until := views.Day(r.now)
	switch m[2] {
	case "", "today":
	case "yesterday":
		from, until = from.AddDate(0, 0, -1), from
	default:
		if from, err = time.Parse(time.DateOnly, m[2]); err != nil {
			return refuse(http.StatusUnprocessableEntity, "Invalid date", "Enter a date such as 2026-03-14.")
		}
		until = from.AddDate(0, 0, 1)
	}
	byDecimals := make(map[int]int64)
	var amounts []int64
	for _, c := range []wallet.Currency{"USD", "JPY", "KWD"} { // with 2, 0 and 3 decimals
		minor := amount.Shift(int32(c.Decimals())) //nolint:gosec // 0, 2 or 3
		if minor.IsInteger() && !minor.IsZero() && minor.BigInt().IsInt64() {
			byDecimals[c.Decimals()] = minor.IntPart()
			amounts = append(amounts, minor.IntPart())
		}
	}
	list, complete, err := views.SearchPaymentsByAmount(r.ctx(), d.Pool, r.mode, amounts, from, until)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Amount == byDecimals[p.Currency.Decimals()] {
			page.Payments = append(page.Payments, p)
		}
	}
	if !complete {
		page.Hint = "Only the newest payments of that day were searched."
	}
	return nil
}
