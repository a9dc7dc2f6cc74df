package lava

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/fundrail/fundrail/internal/wallet"
)

// rules validates decoded requests. Its errors name fields as JSON does.
var rules = newRules()

func newRules() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		return name
	})
	// The amount of a fund request has a rule for each mistake.
	for tag, problem := range map[string]error{
		"fund_form": wallet.ErrAmountForm,
		"fund_max":  wallet.ErrAmountTooLarge,
		"fund_min":  wallet.ErrAmountTooSmall,
	} {
		err := v.RegisterValidation(tag, func(f validator.FieldLevel) bool {
			_, err := wallet.ParseFundAmount(f.Field().String())
			return !errors.Is(err, problem)
		})
		if err != nil {
			panic(fmt.Sprintf("rule %s: %v", tag, err)) // the tags above are well formed
		}
	}
	return v
}

// brokenRules returns, by field, the first rule that a request breaks.
func brokenRules(request any) map[string]validator.FieldError {
	list, _ := errors.AsType[validator.ValidationErrors](rules.Struct(request))
	broken := make(map[string]validator.FieldError, len(list))
	for _, f := range list {
		broken[f.Field()] = f
	}
	return broken
}

// ruleMessage returns the message about a rule that a field breaks.
func ruleMessage(f validator.FieldError) string {
	switch f.Tag() {
	case "fund_form":
		return fmt.Sprintf("Amount must be a decimal string with at most %d decimal places", wallet.USD.Decimals())
	case "fund_max":
		return "Amount must be at most " + wallet.FormatMinor(wallet.MaxFundAmount, wallet.USD)
	case "fund_min":
		return "Amount must be at least " + wallet.FormatMinor(wallet.MinFundAmount, wallet.USD)
	}
	characters := ""
	if f.Kind() == reflect.String {
		characters = " characters"
	}
	switch f.Tag() {
	case "required":
		return "Must not be empty"
	case "min":
		return "Must be at least " + f.Param() + characters
	case "max":
		return "Must be at most " + f.Param() + characters
	default:
		return "Invalid value"
	}
}
