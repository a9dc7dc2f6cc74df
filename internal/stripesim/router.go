package stripesim

import (
	"net/http"
	"strings"
)

// router maps requests to endpoints.
type router struct {
	endpoints []*endpoint
	mux       *http.ServeMux
	s         *Server
}

func newRouter(s *Server) *router {
	rt := &router{mux: http.NewServeMux(), s: s}
	rt.customers()
	rt.payments()
	rt.moneyBack()
	rt.setup()
	rt.events()
	rt.mux.HandleFunc("GET "+challengePath, s.serveChallenge)
	rt.mux.HandleFunc("POST "+challengePath, s.answerChallenge)
	rt.mux.HandleFunc("GET "+checkoutPath+"{id}", s.serveCheckout)
	rt.mux.HandleFunc("POST "+checkoutPath+"{id}", s.payCheckout)
	rt.mux.HandleFunc("GET /{$}", s.serveIndex)
	rt.mux.HandleFunc("/v1/", rt.unknown)
	rt.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.servePage(w, http.StatusNotFound, "gone", nil) })
	s.controlRoutes(rt.mux)
	return rt
}

// ServeHTTP implements [http.Handler].
func (rt *router) ServeHTTP(w http.ResponseWriter, r *http.Request) { rt.mux.ServeHTTP(w, r) }

// handle registers an endpoint. A collection is also registered with a trailing
// slash, because that is the path that a client with an empty id requests.
func (rt *router) handle(method, pattern, params string, run func(*call) (renderer, *apiError)) *endpoint {
	ep := &endpoint{method: method, params: newParamTable(params), pattern: pattern, run: run}
	rt.endpoints = append(rt.endpoints, ep)
	serve := func(w http.ResponseWriter, r *http.Request) { rt.s.serveAPI(ep, w, r) }
	rt.mux.HandleFunc(method+" "+pattern, serve)
	if !strings.Contains(pattern, "{") {
		rt.mux.HandleFunc(method+" "+pattern+"/{$}", serve)
	}
	return ep
}

func (rt *router) get(pattern, params string, run func(*call) (renderer, *apiError)) {
	rt.handle(http.MethodGet, pattern, params, run)
}

func (rt *router) post(pattern, params string, run func(*call) (renderer, *apiError)) {
	rt.handle(http.MethodPost, pattern, params, run)
}

// change registers a POST that changes the object in its path. Such requests for
// one object run one at a time.
func (rt *router) change(pattern, params string, run func(*call) (renderer, *apiError)) {
	rt.handle(http.MethodPost, pattern, params, run).locks = true
}

func (rt *router) remove(pattern string, run func(*call) (renderer, *apiError)) {
	rt.handle(http.MethodDelete, pattern, commonParams, run).locks = true
}

func (rt *router) customers() {
	rt.post("/v1/customers", customerCreateParams, (*call).createCustomer)
	rt.get("/v1/customers", customerListParams, (*call).listCustomers)
	rt.get("/v1/customers/{id}", commonParams, (*call).getCustomer)
	rt.change("/v1/customers/{id}", customerParams, (*call).updateCustomer)
	rt.remove("/v1/customers/{id}", (*call).deleteCustomer)
	rt.get("/v1/customers/{id}/payment_methods", listParams+"type str\n", (*call).listCustomerMethods)
	rt.get("/v1/customers/{id}/payment_methods/{method}", commonParams, (*call).getCustomerMethod)

	rt.post("/v1/payment_methods", methodCreateParams, (*call).createMethod)
	rt.get("/v1/payment_methods", methodListParams, (*call).listMethods)
	rt.get("/v1/payment_methods/{id}", commonParams, (*call).getMethod)
	rt.change("/v1/payment_methods/{id}", methodUpdateParams, (*call).updateMethod)
	rt.change("/v1/payment_methods/{id}/attach", commonParams+"customer! str\n", (*call).attachToCustomer)
	rt.change("/v1/payment_methods/{id}/detach", commonParams, (*call).detachMethod)
}

func (rt *router) payments() {
	rt.post("/v1/payment_intents", intentCreateParams, (*call).createIntent)
	rt.get("/v1/payment_intents", intentListParams, (*call).listIntents)
	rt.get("/v1/payment_intents/search", searchParams, (*call).searchIntents)
	rt.get("/v1/payment_intents/{id}", commonParams+"client_secret str\n", (*call).getIntent)
	rt.change("/v1/payment_intents/{id}", intentUpdateParams, (*call).updateIntent)
	rt.change("/v1/payment_intents/{id}/confirm", intentConfirmParams, (*call).confirmIntent)
	rt.change("/v1/payment_intents/{id}/cancel", intentCancelParams, (*call).cancelIntent)
	rt.change("/v1/payment_intents/{id}/capture", intentCaptureParams, (*call).captureIntent)

	rt.get("/v1/charges", chargeListParams, (*call).listCharges)
	rt.get("/v1/charges/{id}", commonParams, (*call).getCharge)
	rt.change("/v1/charges/{id}", chargeUpdateParams, (*call).updateCharge)
	rt.get("/v1/charges/{id}/refunds", listParams, (*call).listChargeRefunds)

	rt.post("/v1/checkout/sessions", checkoutCreateParams, (*call).createCheckout)
	rt.get("/v1/checkout/sessions", checkoutListParams, (*call).listCheckouts)
	rt.get("/v1/checkout/sessions/{id}", commonParams, (*call).getCheckout)
	rt.get("/v1/checkout/sessions/{id}/line_items", listParams, (*call).listLineItems)
	rt.change("/v1/checkout/sessions/{id}/expire", commonParams, (*call).expireCheckout)
}

func (rt *router) moneyBack() {
	rt.post("/v1/refunds", refundCreateParams, (*call).createRefund)
	rt.get("/v1/refunds", refundListParams, (*call).listRefunds)
	rt.get("/v1/refunds/{id}", commonParams, (*call).getRefund)
	rt.change("/v1/refunds/{id}", refundUpdateParams, (*call).updateRefund)
	rt.change("/v1/refunds/{id}/cancel", commonParams, (*call).cancelRefund)

	rt.get("/v1/disputes", disputeListParams, (*call).listDisputes)
	rt.get("/v1/disputes/{id}", commonParams, (*call).getDispute)
	rt.change("/v1/disputes/{id}", disputeUpdateParams, (*call).updateDispute)
	rt.change("/v1/disputes/{id}/close", commonParams, (*call).closeDispute)

	rt.get("/v1/balance_transactions", balanceListParams, (*call).listBalanceTransactions)
	rt.get("/v1/balance_transactions/{id}", commonParams, (*call).getBalanceTransaction)
	rt.get("/v1/radar/early_fraud_warnings", listParams+"charge str\npayment_intent str\n", (*call).listWarnings)
}

func (rt *router) setup() {
	rt.post("/v1/setup_intents", setupCreateParams, (*call).createSetup)
	rt.get("/v1/setup_intents", setupListParams, (*call).listSetups)
	rt.get("/v1/setup_intents/{id}", commonParams+"client_secret str\n", (*call).getSetup)
	rt.change("/v1/setup_intents/{id}", setupUpdateParams, (*call).updateSetup)
	rt.change("/v1/setup_intents/{id}/confirm", setupConfirmParams, (*call).confirmSetup)
	rt.change("/v1/setup_intents/{id}/cancel", setupCancelParams, (*call).cancelSetup)
}

func (rt *router) events() {
	rt.get("/v1/events", eventListParams, (*call).listEvents)
	rt.get("/v1/events/{id}", commonParams, (*call).getEvent)

	rt.post("/v1/webhook_endpoints", endpointCreateParams, (*call).createEndpoint)
	rt.get("/v1/webhook_endpoints", listParams, (*call).listEndpoints)
	rt.get("/v1/webhook_endpoints/{id}", commonParams, (*call).getEndpoint)
	rt.change("/v1/webhook_endpoints/{id}", endpointUpdateParams, (*call).updateEndpoint)
	rt.remove("/v1/webhook_endpoints/{id}", (*call).deleteEndpoint)
}

// unknown answers requests for unknown API paths.
func (rt *router) unknown(w http.ResponseWriter, r *http.Request) {
	c := &call{id: rt.s.ids.requestID(), r: r, s: rt.s, w: w}
	err := invalid("", "", "Unrecognized request URL ("+r.Method+": "+r.URL.Path+
		"). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.")
	err.status = http.StatusNotFound
	if _, authErr := authenticate(r.Header.Get("Authorization")); authErr != nil {
		err = authErr
	}
	err.requestID = c.id
	c.write(errorAnswer(err), nil)
}

// serveIndex shows an overview page for people.
func (s *Server) serveIndex(w http.ResponseWriter, _ *http.Request) {
	type count struct {
		Name string
		N    int
	}
	var counts []count
	s.test.read(func() {
		counts = []count{
			{"Customers", len(s.test.customers.order)},
			{"Payment intents", len(s.test.intents.order)},
			{"Charges", len(s.test.charges.order)},
			{"Refunds", len(s.test.refunds.order)},
			{"Disputes", len(s.test.disputes.order)},
			{"Events", len(s.test.events.order)},
		}
	})
	s.servePage(w, http.StatusOK, "index", map[string]any{"Counts": counts, "Version": APIVersion})
}
