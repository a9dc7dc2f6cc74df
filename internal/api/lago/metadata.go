package lago

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The limits of metadata: pairs, and characters of keys and values.
const (
	maxTransactionMetadata = 15
	maxOpeningMetadata     = 5 // of the opening credits of a wallet
	maxPairKey             = 20
	maxPairValue           = 100

	maxWalletMetadata      = 50
	maxWalletMetadataKey   = 100
	maxWalletMetadataValue = 255
)

// decodePairs reads the metadata of a wallet transaction: an array of objects
// with a key and a value. The problem is the last one, as in Lago. Elements
// that are not objects, and other members of a pair, are ignored.
func decodePairs(raw json.RawMessage, most int) (pairs []wallet.MetadataPair, problem wallet.Problem) {
	if len(raw) == 0 {
		return nil, ""
	}
	var items []object
	switch api.KindOf(raw) {
	case "array":
		list := object{"list": raw}.list("list")
		for _, item := range list {
			if api.KindOf(item) == "object" {
				items = append(items, object{"item": item}.object("item"))
			}
		}
	case "object":
		if len(object{"item": raw}.object("item")) == 0 {
			return nil, problemTypeInvalid
		}
		return nil, problemPairInvalid
	default:
		return nil, ""
	}
	if len(items) > most {
		problem = problemTooManyKeys
	}
	for _, item := range items {
		key, _ := item.str("key")
		value, present := item.str("value")
		switch {
		case kindOrNull(item["key"]) != "string", strings.TrimSpace(key) == "",
			!present, strings.TrimSpace(value) == "", value == "false" && api.KindOf(item["value"]) == "boolean":
			problem = problemPairInvalid
			continue
		}
		if utf8.RuneCountInString(key) > maxPairKey {
			problem = problemKeyTooLong
		}
		if api.KindOf(item["value"]) == "string" && utf8.RuneCountInString(value) > maxPairValue || !printable(item["value"]) {
			problem = problemPairValueTooLong
		}
		pairs = append(pairs, wallet.MetadataPair{Key: key, Value: item["value"]})
	}
	if problem != "" {
		return nil, problem
	}
	return pairs, ""
}

func kindOrNull(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "null"
	}
	return api.KindOf(raw)
}

// printable reports whether a value is not a number with too many digits: 1e1000000
// is short here, and a million digits long in the database.
func printable(raw json.RawMessage) bool {
	if api.KindOf(raw) != "number" {
		return true
	}
	_, exponent, found := strings.Cut(strings.ToLower(string(raw)), "e")
	if !found {
		return len(raw) <= maxPairValue
	}
	n, err := strconv.Atoi(exponent)
	return err == nil && -maxPairValue <= n && n <= maxPairValue && len(raw) <= maxPairValue
}

// decodeWalletMetadata reads the metadata of a wallet: an object of strings and
// nulls.
func decodeWalletMetadata(raw json.RawMessage) (metadata map[string]any, problem wallet.Problem) {
	if kindOrNull(raw) != "object" {
		return nil, problemTypeInvalid
	}
	members := object{"metadata": raw}.object("metadata")
	if len(members) > maxWalletMetadata {
		return nil, problemTooManyKeys
	}
	metadata = make(map[string]any, len(members))
	for key, value := range members {
		text, ok := scalar(value)
		switch kind := api.KindOf(value); {
		case utf8.RuneCountInString(key) > maxWalletMetadataKey:
			return nil, problemKeyTooLong
		case kind == "null":
			metadata[key] = nil
		case kind != "string" || !ok:
			return nil, problemTypeInvalid
		case utf8.RuneCountInString(text) > maxWalletMetadataValue:
			return nil, problemPairValueTooLong
		default:
			metadata[key] = text
		}
	}
	return metadata, ""
}

// changeMetadata changes a wallet's metadata and answers with the new metadata. A
// repetition with the same Idempotency-Key changes nothing.
func (d *Dialect) changeMetadata(c echo.Context, caller postgres.Caller, body object, change func(map[string]any) (map[string]any, error)) error {
	ref, err := d.changedWallet(c, caller)
	if err != nil {
		return err
	}
	now := d.Now()
	w, err := api.OnceTx(c, d.Server, caller, body, func(ctx context.Context, tx pgx.Tx) (wallet.Wallet, []wallet.ID, error) {
		if _, err := postgres.ChangeWalletMetadata(ctx, tx, ref, now, change); err != nil {
			return wallet.Wallet{}, nil, err
		}
		w, err := postgres.FindWallet(ctx, tx, ref, now)
		return w, []wallet.ID{w.ID}, err
	}, d.foundWallet(ref))
	if err != nil {
		return err
	}
	return writeOne(c, "metadata", w.Metadata)
}

// foundWallet finds a wallet for an earlier request with the same key.
func (d *Dialect) foundWallet(ref postgres.WalletRef) func(context.Context, []wallet.ID) (wallet.Wallet, error) {
	return func(ctx context.Context, _ []wallet.ID) (wallet.Wallet, error) {
		return postgres.FindWallet(ctx, d.LookUps(), ref, d.Now())
	}
}

// readWalletMetadata reads the body of a request about metadata.
func readWalletMetadata(c echo.Context) (object, map[string]any, error) {
	body, err := readMembers(c, "metadata")
	if err != nil {
		return nil, nil, err
	}
	raw, ok := body["metadata"]
	if !ok {
		return nil, nil, errRootMissing("metadata")
	}
	metadata, problem := decodeWalletMetadata(raw)
	if problem != "" {
		return nil, nil, wallet.Invalid(fieldMetadata, problem)
	}
	return body, metadata, nil
}

// replaceMetadata answers POST …/metadata.
func (d *Dialect) replaceMetadata(c echo.Context, caller postgres.Caller) error {
	body, metadata, err := readWalletMetadata(c)
	if err != nil {
		return err
	}
	return d.changeMetadata(c, caller, body, func(map[string]any) (map[string]any, error) { return metadata, nil })
}

// mergeMetadata answers PATCH and PUT …/metadata. Keys that are not sent stay.
func (d *Dialect) mergeMetadata(c echo.Context, caller postgres.Caller) error {
	body, metadata, err := readWalletMetadata(c)
	if err != nil {
		return err
	}
	return d.changeMetadata(c, caller, body, func(before map[string]any) (map[string]any, error) {
		after := map[string]any{}
		maps.Copy(after, before)
		maps.Copy(after, metadata)
		if len(after) > maxWalletMetadata {
			return nil, wallet.Invalid(fieldMetadata, problemTooManyKeys)
		}
		return after, nil
	})
}

// dropMetadata answers DELETE …/metadata.
func (d *Dialect) dropMetadata(c echo.Context, caller postgres.Caller) error {
	return d.changeMetadata(c, caller, nil, func(map[string]any) (map[string]any, error) { return nil, nil })
}

// dropMetadataKey answers DELETE …/metadata/{key}. A missing key is an error only if
// the wallet has no metadata at all.
func (d *Dialect) dropMetadataKey(c echo.Context, caller postgres.Caller) error {
	key := pathText(c, "key")
	if key == "" && c.Param("key") != "" { // no metadata has it, so there is nothing to write
		return d.showMetadata(c, caller)
	}
	return d.changeMetadata(c, caller, nil, func(before map[string]any) (map[string]any, error) {
		if before == nil {
			return nil, errMetadataNotFound()
		}
		delete(before, key)
		return before, nil
	})
}

// showMetadata answers with a wallet's metadata as it is.
func (d *Dialect) showMetadata(c echo.Context, caller postgres.Caller) error {
	w, err := postgres.FindWallet(c.Request().Context(), d.LookUps(), walletRef(c, caller), d.Now())
	if err == nil && w.Metadata == nil {
		err = errMetadataNotFound()
	}
	if err != nil {
		return err
	}
	return writeOne(c, "metadata", w.Metadata)
}

func errMetadataNotFound() error {
	return &wallet.Error{Code: wallet.CodeMetadataNotFound, Message: "Metadata not found."}
}
