package bench

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/fundrail/fundrail/internal/wallet"
)

// fundBody is a fund request for 25 dollars.
const fundBody = `{"payment_method_id":"%s","amount":"25.00"}`

// deck creates fund requests. It uses the cards in turn, so that a card is not used
// again before all others.
type deck struct {
	cards []cardRequest
	next  atomic.Int64
	// run distinguishes the idempotency keys of different decks.
	run string
}

// cardRequest is a card with the parts of its request that do not change.
type cardRequest struct {
	challenge bool
	// head is the request up to the value of Idempotency-Key. body is the request's
	// body.
	head, body string
}

func newDeck(run, host string, merchants []merchant) *deck {
	d := &deck{run: run}
	for _, m := range merchants {
		for _, c := range m.cards {
			body := fmt.Sprintf(fundBody, wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, c.id))
			d.cards = append(d.cards, cardRequest{
				challenge: c.challenge,
				head: fmt.Sprintf("POST /v1/wallet/fund HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
					"Content-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: ", host, m.apiKey, len(body)),
				body: body,
			})
		}
	}
	return d
}

// deal appends the next request to buf. A card with a challenge always gets a
// synchronous request, because the answer contains the address of the challenge.
func (d *deck) deal(buf []byte, async bool) (request []byte, challenge bool) {
	n := d.next.Add(1)
	c := &d.cards[n%int64(len(d.cards))]
	buf = append(buf, c.head...)
	buf = append(buf, d.run...)
	buf = strconv.AppendInt(buf, n, 10)
	if async && !c.challenge {
		buf = append(buf, "\r\nPrefer: respond-async"...)
	}
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, c.body...), c.challenge
}
