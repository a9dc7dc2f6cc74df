package lago

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// paymentProvider is the only payment provider.
const paymentProvider = "stripe"

// profileTexts are fields of a customer that are stored and shown, and not used.
var profileTexts = []string{
	"address_line1", "address_line2", "city", "country", "customer_type", "legal_name", "legal_number", "logo_url", "phone",
	"state", "tax_identification_number", "url", "zipcode",
}

// shippingTexts are the parts of a shipping address.
var shippingTexts = []string{"address_line1", "address_line2", "city", "zipcode", "state", "country"}

// profile is the part of a customer that is stored as JSON.
type profile struct {
	Texts          map[string]*string `json:"texts,omitempty"`
	NetPaymentTerm *int64             `json:"net_payment_term,omitempty"`
	Shipping       map[string]*string `json:"shipping_address,omitempty"`
	Billing        *billing           `json:"billing_configuration,omitempty"`
	Metadata       []customerPair     `json:"metadata,omitempty"`
}

// billing is the customer's payment provider as the client sent it.
type billing struct {
	PaymentProvider     *string `json:"payment_provider"`
	PaymentProviderCode *string `json:"payment_provider_code"`
	SyncWithProvider    bool    `json:"sync_with_provider"`
}

// customerPair is one entry of a customer's metadata.
type customerPair struct {
	Key              string  `json:"key"`
	Value            string  `json:"value"`
	DisplayInInvoice bool    `json:"display_in_invoice"`
	CreatedAt        *string `json:"created_at"`
}

func readProfile(c postgres.Customer) (profile, error) {
	var p profile
	if len(c.Profile) == 0 {
		return p, nil
	}
	if err := json.Unmarshal(c.Profile, &p); err != nil {
		return p, fmt.Errorf("profile of customer %s: %w", c.ID, err)
	}
	return p, nil
}

// newCustomer returns a customer as the dialect shows it.
func newCustomer(c postgres.Customer) (named, error) {
	p, err := readProfile(c)
	if err != nil {
		return nil, err
	}
	text := func(name string) *string { return p.Texts[name] }
	shipping := named{}
	for _, name := range shippingTexts {
		shipping = append(shipping, member{name, p.Shipping[name]})
	}
	conf := named{
		{"payment_provider", nil},
		{"payment_provider_code", nil},
		{"provider_customer_id", nullable.From(c.StripeCustomerID)},
		{"sync_with_provider", false},
	}
	if p.Billing != nil {
		conf[0].value, conf[1].value, conf[3].value = p.Billing.PaymentProvider, p.Billing.PaymentProviderCode, p.Billing.SyncWithProvider
	} else if c.StripeCustomerID != "" {
		conf[0].value = paymentProvider
	}
	metadata := p.Metadata
	if metadata == nil {
		metadata = []customerPair{}
	}
	return named{
		{"lago_id", c.ID},
		{"billing_entity_code", wallet.DefaultBillingEntity},
		{"external_id", c.ExternalID},
		{"account_type", "customer"},
		{"name", nullable.From(c.Name)},
		{"firstname", nullable.From(c.Firstname)},
		{"lastname", nullable.From(c.Lastname)},
		{"customer_type", text("customer_type")},
		{"created_at", lagojson.Moment(c.CreatedAt)},
		{"updated_at", lagojson.Moment(c.UpdatedAt)},
		{"country", text("country")},
		{"address_line1", text("address_line1")},
		{"address_line2", text("address_line2")},
		{"state", text("state")},
		{"zipcode", text("zipcode")},
		{"email", nullable.From(c.Email)},
		{"city", text("city")},
		{"url", text("url")},
		{"phone", text("phone")},
		{"logo_url", text("logo_url")},
		{"legal_name", text("legal_name")},
		{"legal_number", text("legal_number")},
		{"currency", nullable.From(string(c.Currency))},
		{"tax_identification_number", text("tax_identification_number")},
		{"timezone", c.Timezone},
		{"applicable_timezone", c.Timezone},
		{"net_payment_term", p.NetPaymentTerm},
		{"billing_configuration", conf},
		{"shipping_address", shipping},
		{"metadata", metadata},
	}, nil
}

// storeCustomer answers POST /api/v1/customers: it creates the customer of an
// external id, or changes it. A field that is not sent stays as it is.
func (d *Dialect) storeCustomer(c echo.Context, caller postgres.Caller) error {
	body, err := readRoot(c, "customer")
	if err != nil {
		return err
	}
	if err := checkBillingEntity(body); err != nil {
		return err
	}
	v := &wallet.ValidationError{}
	externalID, _ := body.str("external_id")
	if strings.TrimSpace(externalID) == "" {
		v.Add(fieldExternalID, problemMandatory)
	}
	if utf8.RuneCountInString(externalID) > maxText {
		v.Add(fieldExternalID, problemValueTooLong)
	}
	change := decodeCustomer(body, v)
	change.ID = wallet.NewID()
	customer, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (postgres.Customer, []wallet.ID, error) {
		if err := v.OrNil(); err != nil {
			return postgres.Customer{}, nil, err
		}
		before, err := postgres.LockOrInsertCustomer(ctx, tx, caller.OrganizationID, caller.Mode, externalID, change.ID, d.Now())
		if err != nil {
			return before, nil, err
		}
		change := change // another attempt may find another profile
		if change.Profile, err = decodeProfile(body, before, api.Timestamp(d.Now())); err != nil {
			return before, nil, err
		}
		after, err := postgres.UpsertCustomer(ctx, tx, caller.OrganizationID, caller.Mode, externalID, change, d.Now())
		if err == nil && paysByStripe(body.object("billing_configuration")) {
			err = d.Payments.SyncCustomer(ctx, tx, after.ID)
		}
		return after, []wallet.ID{after.ID}, err
	}, func(ctx context.Context, ids []wallet.ID) (postgres.Customer, error) {
		return postgres.GetCustomer(ctx, d.LookUps(), ids[0])
	})
	if err != nil {
		return err
	}
	return writeCustomer(c, customer)
}

func writeCustomer(c echo.Context, customer postgres.Customer) error {
	shown, err := newCustomer(customer)
	if err != nil {
		return err
	}
	return writeOne(c, "customer", shown)
}

// paysByStripe reports whether a request asks for its customer to be created at
// Stripe.
func paysByStripe(conf object) bool {
	return conf.trimmed("payment_provider") == paymentProvider || conf.trimmed("provider_customer_id") != ""
}

// emailForm is loose, because a stricter form would refuse valid addresses.
var emailForm = regexp.MustCompile(`^[^@\s]+@[^@\s]+$`)

// decodeCustomer reads the part of a customer that is stored in columns. Null
// removes a value.
func decodeCustomer(body object, v *wallet.ValidationError) postgres.CustomerChange {
	var change postgres.CustomerChange
	for name, to := range map[string]**string{
		"currency": &change.Currency, "email": &change.Email, "firstname": &change.Firstname,
		"lastname": &change.Lastname, "name": &change.Name, "timezone": &change.Timezone,
	} {
		if _, ok := body[name]; ok {
			*to = new(body.trimmed(name))
		}
	}
	if conf := body.object("billing_configuration"); conf != nil {
		if id := conf.trimmed("provider_customer_id"); id != "" {
			change.StripeCustomerID = &id
			if utf8.RuneCountInString(id) > maxText {
				v.Add(fieldProviderID, problemValueTooLong)
			}
		}
	}
	switch {
	case change.Email == nil:
	case utf8.RuneCountInString(*change.Email) > maxText:
		v.Add(fieldEmail, problemValueTooLong)
	case *change.Email != "" && !emailForm.MatchString(*change.Email):
		v.Add(fieldEmail, problemEmailForm)
	}
	if change.Currency != nil && *change.Currency != "" && !wallet.Currency(*change.Currency).Known() {
		v.Add(wallet.FieldCurrency, wallet.ProblemInvalid)
	}
	return change
}

// decodeProfile reads the part of a customer that is stored as JSON, and returns it
// with the values before that the request does not have.
func decodeProfile(body object, before postgres.Customer, now string) (json.RawMessage, error) {
	p, err := readProfile(before)
	if err != nil {
		return nil, err
	}
	p.Texts = readTexts(p.Texts, body, profileTexts)
	if term, ok := body.integer("net_payment_term"); ok {
		p.NetPaymentTerm = &term
	}
	if address := body.object("shipping_address"); address != nil {
		p.Shipping = readTexts(p.Shipping, address, shippingTexts)
	}
	if conf := body.object("billing_configuration"); conf != nil {
		if p.Billing == nil {
			p.Billing = &billing{}
		}
		setOptional(&p.Billing.PaymentProvider, conf, "payment_provider")
		setOptional(&p.Billing.PaymentProviderCode, conf, "payment_provider_code")
		setBool(&p.Billing.SyncWithProvider, conf, "sync_with_provider")
	}
	if list := body.list("metadata"); list != nil {
		p.Metadata = nil
		for _, raw := range list {
			pair := object{"pair": raw}.object("pair")
			key, _ := pair.str("key")
			value, _ := pair.str("value")
			if key != "" {
				p.Metadata = append(p.Metadata, customerPair{key, value, isTrue(pair.boolean("display_in_invoice")), &now})
			}
		}
	}
	return json.Marshal(p)
}

func readTexts(before map[string]*string, body object, names []string) map[string]*string {
	after := map[string]*string{}
	for _, name := range names {
		after[name] = before[name]
		if _, ok := body[name]; ok {
			after[name] = nullable.From(body.trimmed(name))
		}
		if after[name] == nil {
			delete(after, name)
		}
	}
	return after
}

// showCustomer answers GET /api/v1/customers/{external_id}.
func (d *Dialect) showCustomer(c echo.Context, caller postgres.Caller) error {
	customer, err := d.findCustomer(c, caller)
	if err != nil {
		return err
	}
	return writeCustomer(c, customer)
}

func (d *Dialect) findCustomer(c echo.Context, caller postgres.Caller) (postgres.Customer, error) {
	return postgres.FindCustomer(c.Request().Context(), d.LookUps(), caller.OrganizationID, caller.Mode, pathText(c, "external_id"))
}

// listCustomers answers GET /api/v1/customers.
func (d *Dialect) listCustomers(c echo.Context, caller postgres.Caller) error {
	list, total, err := postgres.ListCustomers(c.Request().Context(), d.LookUps(), caller.OrganizationID, caller.Mode, pageOf(c))
	if err != nil {
		return err
	}
	shown := make([]named, len(list))
	for i, customer := range list {
		if shown[i], err = newCustomer(customer); err != nil {
			return err
		}
	}
	return writeList(c, "customers", shown, total)
}
