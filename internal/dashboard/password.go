package dashboard

import (
	"errors"
	"fmt"

	"github.com/alexedwards/argon2id"
)

// MinPasswordLength is the minimum length of a password in bytes. There is no other rule
// about its characters.
const MinPasswordLength = 12

// maxPasswordLength limits the work that a login request can cause.
const maxPasswordLength = 1024

// ErrPasswordLength reports a password that is too short or too long.
var ErrPasswordLength = fmt.Errorf("a password has %d to %d characters", MinPasswordLength, maxPasswordLength)

// errPasswordHash reports a stored hash that HashPassword cannot have returned.
var errPasswordHash = errors.New("unreadable password hash")

// passwordCost is what OWASP recommends for Argon2id: 19 MiB of memory and two passes. The
// defaults of the library depend on the number of processors.
var passwordCost = &argon2id.Params{Memory: 19 * 1024, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// HashPassword hashes a password with Argon2id and a new salt. The hash has the usual form
// "$argon2id$v=…$m=…,t=…,p=…$salt$key".
func HashPassword(password string) (string, error) {
	if len(password) < MinPasswordLength || len(password) > maxPasswordLength {
		return "", ErrPasswordLength
	}
	return argon2id.CreateHash(password, passwordCost)
}

// CheckPassword reports whether hash is the hash of password.
func CheckPassword(hash, password string) (bool, error) {
	// The library accepts a key of any length, and panics without passes or threads.
	cost, _, _, err := argon2id.DecodeHash(hash)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errPasswordHash, err)
	}
	if cost.KeyLength != passwordCost.KeyLength || cost.Iterations == 0 || cost.Parallelism == 0 {
		return false, errPasswordHash
	}
	return argon2id.ComparePasswordAndHash(password, hash)
}
