package worker

import (
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/api/lava"
	"github.com/fundrail/fundrail/internal/dashboard"
	"github.com/fundrail/fundrail/internal/openapi"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
	"github.com/fundrail/fundrail/webhooks"
)

// newServer makes the HTTP server with all routes of the service.
func newServer(s *service, publicURL string) (*http.Server, error) {
	e := api.NewEcho(s.Log, append(s.Traces.Requests(), s.metrics.Requests())...)
	proxies, err := s.Settings.Proxies()
	if err != nil {
		return nil, err
	}
	api.TrustProxies(e, proxies)
	s.api = &api.Server{
		DB:         s.pool,
		Log:        s.Log,
		LookUpPool: s.lookUps,
		Now:        s.Now,
		Payments:   s.engine,
		RateLimit:  s.Settings.RateLimitPerMinute,
	}
	s.api.Mount(e,
		&lava.Dialect{
			Server:              s.api,
			FundWait:            s.Settings.FundWait,
			PublicURL:           publicURL,
			WebhookAllowPrivate: s.Settings.WebhookAllowPrivate,
			WebhookLimit:        s.Settings.WebhookEndpointLimit,
		},
		&lago.Dialect{Server: s.api, WalletLimit: s.Settings.WalletsPerCustomer},
	)
	(&webhooks.Handler{
		Intake:  s.engine,
		Log:     s.Log,
		Now:     s.Now,
		Secrets: webhookSecrets(s),
	}).Register(e)
	s.dashboard = newDashboard(s, publicURL)
	s.dashboard.Register(e)
	openapi.Register(e)
	e.GET("/healthz", echo.WrapHandler(http.HandlerFunc(healthy)))
	e.GET("/readyz", echo.WrapHandler(http.HandlerFunc(s.ready)))
	if s.Settings.MetricsListenAddr == "" {
		e.GET("/metrics", echo.WrapHandler(s.metrics.Handler()))
	}
	httpServer := api.NewHTTPServer(e)
	httpServer.ErrorLog = slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn)
	// A caller who waits for as long as the setting allows still needs an answer.
	httpServer.WriteTimeout = max(httpServer.WriteTimeout, s.Settings.FundWait+writeGrace)
	if !s.Settings.TLS() {
		return httpServer, nil
	}
	c, err := loadCertificate(s.Settings.TLSCertFile, s.Settings.TLSKeyFile, s.Log, s.Now)
	if err != nil {
		return nil, err
	}
	httpServer.TLSConfig = c.config()
	return httpServer, nil
}

// writeGrace is how long an answer may take to be written once it is known.
const writeGrace = 30 * time.Second

// newInnerServer makes a server for operators: metrics, profiles.
func newInnerServer(s *service, h http.Handler, write time.Duration) *http.Server {
	return &http.Server{
		ErrorLog: slog.NewLogLogger(s.Log.Handler(), slog.LevelWarn),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(echo.HeaderXContentTypeOptions, "nosniff")
			w.Header().Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
			h.ServeHTTP(w, r)
		}),
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: write,
	}
}

// newDashboard makes the operators' pages.
func newDashboard(s *service, publicURL string) *dashboard.Dashboard {
	var periodic []dashboard.Periodic
	for _, p := range s.engine.Periodics() {
		job := dashboard.Periodic{Kind: p.Args.Kind(), Every: p.Every}
		if !slices.Contains(periodic, job) { // one that comes for each mode is one here
			periodic = append(periodic, job)
		}
	}
	return dashboard.New(dashboard.Config{
		Log:           s.Log,
		Payments:      s.engine,
		Now:           s.Now,
		Periodic:      periodic,
		PeriodicQueue: jobs.QueuePeriodic,
		Pool:          s.views,
		PublicURL:     publicURL,
		River:         s.river,
	})
}

func webhookSecrets(s *service) map[wallet.Mode][]string {
	secrets := make(map[wallet.Mode][]string)
	for _, mode := range wallet.Modes {
		for _, secret := range s.Settings.WebhookSecrets(mode) {
			secrets[mode] = append(secrets[mode], string(secret))
		}
	}
	return secrets
}
