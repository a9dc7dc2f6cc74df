package stripesim

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// When a card requires its holder to authenticate.
const (
	authNever   = iota
	authAlways  // on-session: a challenge; off-session: a decline
	authOnsite  // on-session: a challenge; off-session: never
	authUnready // on-session: a challenge; off-session: a decline, until the card was set up
)

// decline is the reason for which an issuer refuses a payment.
type decline struct {
	code        string
	declineCode string
	message     string
	blocked     bool // by Radar, without asking the issuer
}

var (
	declined        = &decline{code: "card_declined", declineCode: "generic_decline", message: "Your card was declined."}
	noFunds         = &decline{code: "card_declined", declineCode: "insufficient_funds", message: "Your card has insufficient funds."}
	lostCard        = &decline{code: "card_declined", declineCode: "lost_card", message: "Your card was declined."}
	stolen          = &decline{code: "card_declined", declineCode: "stolen_card", message: "Your card was declined."}
	expired         = &decline{code: "expired_card", message: "Your card has expired."}
	badCVC          = &decline{code: "incorrect_cvc", message: "Your card's security code is incorrect."}
	processingError = &decline{
		code:    "processing_error",
		message: "An error occurred while processing your card. Try again in a little bit.",
	}
	velocityExceeded = &decline{
		code: "card_declined", declineCode: "card_velocity_exceeded",
		message: "Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
	}
	fraudulent  = &decline{code: "card_declined", declineCode: "fraudulent", message: "Your card was declined.", blocked: true}
	wrongNumber = &decline{code: "incorrect_number", message: "Your card number is incorrect."}
	needsAuth   = &decline{
		code: "authentication_required", declineCode: "authentication_required",
		message: "Your card was declined. This transaction requires authentication.",
	}
	actionNotHandled = &decline{
		code: "authentication_required", declineCode: "authentication_not_handled",
		message: "This payment required an authentication action to complete, but `error_on_requires_action` was set. " +
			"When you're ready, you can upgrade your integration to handle actions at " +
			"https://stripe.com/docs/payments/payment-intents/upgrade-to-handle-actions.",
	}
)

// card is the behavior of one test number. A card without any field set approves
// every payment.
type card struct {
	id      string // the magic id of its payment method, such as pm_card_visa
	aliases []string
	number  string

	brand, country, funding string

	attach     *decline // when it is attached or set up
	auth       int
	charge     *decline // when charged without a challenge
	challenged *decline // when charged after a passed challenge
	offSession *decline // when charged off-session

	dispute     string // the reason of the dispute that follows
	inquiry     bool   // that dispute is only an inquiry
	fraudReport bool   // an early fraud warning follows
	refund      string // how a refund ends: "pending" succeeds later, "failed" succeeds first and fails later
	risk        string
	settles     string // how a payment that stays processing ends, "succeeded" or "failed"; Stripe has no such card

	fingerprint string
	last4       string
	secure3D    string // support for 3DS: optional, required or not_supported
}

// cardList is the table of test cards. The ids with "sim" belong to the simulator
// only; Stripe does not have them.
var cardList = []card{
	{id: "pm_card_visa", number: "4242424242424242"},
	{id: "pm_card_visa_debit", number: "4000056655665556", funding: "debit"},
	{id: "pm_card_mastercard", number: "5555555555554444", brand: "mastercard"},
	{id: "pm_card_amex", number: "378282246310005", brand: "amex"},

	{id: "pm_card_threeDSecure2Required", number: "4000000000003220", auth: authAlways, aliases: []string{"pm_card_threeDSecureRequired"}},
	{id: "pm_card_threeDSecureRequiredChargeDeclined", number: "4000008400001629", auth: authAlways, challenged: declined},
	{id: "pm_card_threeDSecureRequiredProcessingError", number: "4000008400001280", charge: declined, offSession: needsAuth},
	{id: "pm_card_threeDSecureOptional", number: "4000000000003055"},
	{id: "pm_card_threeDSecureOptionalProcessingError", number: "4000000000003097"},
	{id: "pm_card_amex_threeDSecureNotSupported", number: "378282246310005", brand: "amex", secure3D: "not_supported"},
	{id: "pm_card_authenticationRequiredOnSetup", number: "4000002500003155", auth: authUnready},
	{id: "pm_card_authenticationRequired", number: "4000002760003184", auth: authAlways},
	{id: "pm_card_authenticationRequiredSetupForOffSession", number: "4000003800000446", auth: authOnsite},
	{
		id:     "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
		number: "4000008260003178", auth: authAlways, challenged: noFunds, offSession: noFunds,
	},

	{
		id: "pm_card_visa_chargeDeclined", aliases: []string{"pm_card_chargeDeclined"},
		number: "4000000000000002", attach: declined, charge: declined,
	},
	{
		id: "pm_card_visa_chargeDeclinedInsufficientFunds", aliases: []string{"pm_card_chargeDeclinedInsufficientFunds"},
		number: "4000000000009995", attach: noFunds, charge: noFunds,
	},
	{
		id: "pm_card_visa_chargeDeclinedLostCard", aliases: []string{"pm_card_chargeDeclinedLostCard"},
		number: "4000000000009987", attach: lostCard, charge: lostCard,
	},
	{
		id: "pm_card_visa_chargeDeclinedStolenCard", aliases: []string{"pm_card_chargeDeclinedStolenCard"},
		number: "4000000000009979", attach: stolen, charge: stolen,
	},
	{id: "pm_card_chargeDeclinedExpiredCard", number: "4000000000000069", attach: expired, charge: expired},
	{id: "pm_card_chargeDeclinedIncorrectCvc", number: "4000000000000127", attach: badCVC, charge: badCVC},
	{id: "pm_card_chargeDeclinedProcessingError", number: "4000000000000119", attach: processingError, charge: processingError},
	{
		id: "pm_card_visa_chargeDeclinedVelocityLimitExceeded", aliases: []string{"pm_card_chargeDeclinedVelocityLimitExceeded"},
		number: "4000000000006975", attach: velocityExceeded, charge: velocityExceeded,
	},
	{
		id: "pm_card_chargeDeclinedFraudulent", aliases: []string{"pm_card_radarBlock"},
		number: "4100000000000019", charge: fraudulent, risk: "highest",
	},
	{id: "pm_card_chargeCustomerFail", number: "4000000000000341", charge: declined},

	{id: "pm_card_createDispute", number: "4000000000000259", dispute: "fraudulent"},
	{id: "pm_card_createDisputeProductNotReceived", number: "4000000000002685", dispute: "product_not_received"},
	{id: "pm_card_createDisputeInquiry", number: "4000000000001976", dispute: "fraudulent", inquiry: true},
	{id: "pm_card_createIssuerFraudRecord", number: "4000000000005423", fraudReport: true},
	{id: "pm_card_pendingRefund", number: "4000000000007726", refund: "pending"},
	{id: "pm_card_refundFail", number: "4000000000005126", refund: "failed"},
	{id: "pm_card_bypassPending", number: "4000000000000077"},
	{id: "pm_card_riskLevelElevated", number: "4000000000009235", risk: "elevated"},
	{id: "pm_card_riskLevelHighest", number: "4000000000004954", risk: "highest"},

	{id: "pm_card_simProcessing", number: "4000000000000010", settles: "succeeded"},
	{id: "pm_card_simProcessingFails", number: "4000000000000028", settles: "failed"},
}

// cardsByID maps magic ids and aliases to cards, cardsByNumber maps numbers.
var cardsByID, cardsByNumber = indexCards()

func indexCards() (byID, byNumber map[string]*card) {
	byID, byNumber = map[string]*card{}, map[string]*card{}
	for i := range cardList {
		c := &cardList[i]
		c.complete()
		for _, id := range append([]string{c.id}, c.aliases...) {
			byID[id] = c
		}
		if byNumber[c.number] == nil {
			byNumber[c.number] = c
		}
	}
	return byID, byNumber
}

func (c *card) complete() {
	defaultString(&c.brand, "visa")
	defaultString(&c.country, "US")
	defaultString(&c.funding, "credit")
	defaultString(&c.risk, "normal")
	defaultString(&c.secure3D, "optional")
	c.last4 = c.number[len(c.number)-4:]
	sum := sha256.Sum256([]byte("fingerprint " + c.number))
	c.fingerprint = hex.EncodeToString(sum[:8])
}

func defaultString(s *string, def string) {
	if *s == "" {
		*s = def
	}
}

// findCard returns the card of a magic payment method, token or number, or nil if
// it is unknown.
func findCard(name string) *card {
	if rest, ok := strings.CutPrefix(name, "tok_"); ok {
		name = "pm_card_" + rest
	}
	if c := cardsByID[name]; c != nil {
		return c
	}
	return cardsByNumber[strings.ReplaceAll(strings.ReplaceAll(name, " ", ""), "-", "")]
}

// network returns the card network's name.
func (c *card) network() string { return c.brand }

// needsChallenge reports whether a payment requires the cardholder to authenticate.
func (c *card) needsChallenge(offSession, setUp bool) bool {
	switch c.auth {
	case authAlways:
		return true
	case authOnsite:
		return !offSession
	case authUnready:
		return !offSession || !setUp
	}
	return false
}

// luhn reports whether a card number's check digit is correct.
func luhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		d := int(number[i] - '0')
		if d < 0 || d > 9 {
			return false
		}
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return len(number) >= 12 && sum%10 == 0
}
