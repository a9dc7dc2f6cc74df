package main

import (
	"context"
	"fmt"

	"github.com/fundrail/fundrail/internal/config"
	"github.com/fundrail/fundrail/internal/console"
	"github.com/fundrail/fundrail/internal/doctor"
)

type doctorCmd struct {
	config.Settings

	CreateWebhook bool `help:"Create Stripe's webhook endpoint for PUBLIC_URL if it is missing, and print its secret once."`
	JSON          bool `help:"Print one JSON object."`
}

// Check accepts any settings: Run examines them and goes on after an invalid one.
func (c *doctorCmd) Check() error { return nil }

// Run examines everything and fails if there is a problem.
func (c *doctorCmd) Run(ctx context.Context, a *app) error {
	findings := doctor.Examine(ctx, doctor.Options{Settings: c.Settings, Now: a.Now, CreateWebhook: c.CreateWebhook})
	if err := c.print(a, findings); err != nil {
		return err
	}
	if !doctor.Healthy(findings) {
		return errReported
	}
	return nil
}

func (c *doctorCmd) print(a *app, findings []doctor.Finding) error {
	if c.JSON {
		return a.printJSON(struct {
			OK     bool             `json:"ok"`
			Checks []doctor.Finding `json:"checks"`
		}{doctor.Healthy(findings), findings})
	}
	mend := 0
	for _, f := range findings {
		name := f.Check
		if f.Mode != "" {
			name += fmt.Sprintf(" (%s)", f.Mode)
		}
		a.printf("%-5s %-24s %s\n", f.Status, name, f.Detail)
		if f.Mend != "" {
			a.printf("%-30s %s\n", "", f.Mend)
		}
		if f.WebhookSecret != "" {
			a.printf("%-30s %s\n", "", f.WebhookSecret)
		}
		if f.Status == doctor.Mend {
			mend++
		}
	}
	if mend == 0 {
		a.printf("\nNothing has to be mended.\n")
		return nil
	}
	a.printf("\n%s to mend.\n", console.Plural(mend, "thing"))
	return nil
}
