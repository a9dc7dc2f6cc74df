package stripesim

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// idSource makes Stripe-like ids. Its generator is cryptographic, so client
// secrets cannot be guessed from ids.
type idSource struct {
	mu  sync.Mutex
	rng *rand.ChaCha8
}

func newIDSource(seed uint64) *idSource {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	copy(key[8:], "fundrail stripe simulator")
	return &idSource{rng: rand.NewChaCha8(key)}
}

// new returns prefix followed by 23 random characters. The prefix ends with
// the digit that ids of its kind start with: "pi_3", "pm_1".
func (s *idSource) new(prefix string) string { return s.make(prefix, 23) }

// secret returns prefix followed by n random characters.
func (s *idSource) secret(prefix string, n int) string {
	return s.make(prefix, n)
}

func (s *idSource) make(prefix string, n int) string {
	buf := make([]byte, 0, 96)
	buf = append(buf, prefix...)
	s.mu.Lock()
	for n > 0 {
		// Ten characters of 6 bits leave 4 bits unused; values above 61 fold
		// back, which skews single characters and costs no uniqueness.
		for bits, k := s.rng.Uint64(), 0; k < 10 && n > 0; k, n = k+1, n-1 {
			buf = append(buf, base62[(bits&63)%62])
			bits >>= 6
		}
	}
	s.mu.Unlock()
	return string(buf)
}

// requestID is the id of one API request.
func (s *idSource) requestID() string { return s.make("req_", 14) }
