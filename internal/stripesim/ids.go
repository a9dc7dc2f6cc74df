package stripesim

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// idSource generates ids in Stripe's format. It uses a cryptographic generator, so
// that client secrets cannot be guessed from ids.
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

// new returns prefix followed by 23 random characters. The last character of the
// prefix is the digit that such ids start with, as in "pi_3" and "pm_1".
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
		// Ten characters of 6 bits leave 4 of the 64 bits unused. Values 62 and 63
		// wrap around, which makes two characters more likely but has no effect on
		// uniqueness.
		for bits, k := s.rng.Uint64(), 0; k < 10 && n > 0; k, n = k+1, n-1 {
			buf = append(buf, base62[(bits&63)%62])
			bits >>= 6
		}
	}
	s.mu.Unlock()
	return string(buf)
}

// requestID returns a new id for an API request.
func (s *idSource) requestID() string { return s.make("req_", 14) }
