package dashboard

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// MinPasswordLength is how many bytes a password has at least. There is no other
// rule: length is what counts.
const MinPasswordLength = 12

// maxPasswordLength keeps a login from hashing megabytes.
const maxPasswordLength = 1024

// ErrPasswordLength reports a password that is too short, or absurdly long.
var ErrPasswordLength = fmt.Errorf("a password has %d to %d characters", MinPasswordLength, maxPasswordLength)

// errPasswordHash reports a stored hash that this program did not write.
var errPasswordHash = errors.New("unreadable password hash")

// The cost of a password, as OWASP proposes for Argon2id: 19 MiB and two passes.
const (
	hashMemory  = 19 * 1024 // KiB
	hashTime    = 2
	hashThreads = 1
	hashLength  = 32
	saltLength  = 16
)

// HashPassword hashes a password with Argon2id and a salt of its own, in the usual
// "$argon2id$…" spelling.
func HashPassword(password string) (string, error) {
	if len(password) < MinPasswordLength || len(password) > maxPasswordLength {
		return "", ErrPasswordLength
	}
	salt := make([]byte, saltLength)
	_, _ = rand.Read(salt) // it never fails
	key := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashLength)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// CheckPassword tells whether a password is the one that a hash was made of.
func CheckPassword(hash, password string) (bool, error) {
	parts := strings.Split(hash, "$")
	const fields = 6
	if len(parts) != fields || parts[1] != "argon2id" {
		return false, errPasswordHash
	}
	var (
		version      int
		memory, time uint32
		threads      uint8
	)
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errPasswordHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil {
		return false, errPasswordHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(parts[4])
	if err != nil {
		return false, errPasswordHash
	}
	want, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err != nil || len(want) != hashLength {
		return false, errPasswordHash
	}
	key := argon2.IDKey([]byte(password), salt, time, memory, threads, hashLength)
	return subtle.ConstantTimeCompare(key, want) == 1, nil
}
