//go:build contract

package stripeapi

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// TestContract sends every request of the client to stripe-mock. The mock checks
// each against Stripe's published schema: the path, the names and types of the
// parameters, and their enumerations. Its answers have no state and are ignored.
//
// STRIPE_MOCK_BIN is the path of the program.
func TestContract(t *testing.T) {
	t.Parallel()

	address := startMock(t)

	for name, call := range everyCall {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			judge := new(judge)
			c, err := New(Config{
				Mode: wallet.ModeTest, SecretKey: "sk_test_contract", URL: address,
				HTTPClient: &http.Client{Transport: judge},
			})
			require.NoError(t, err)

			_, _ = call(t.Context(), c) // the answers of stripe-mock have no meaning

			require.NotEmpty(t, judge.asked)
			require.Empty(t, judge.refused)
		})
	}
}

// The contract test is worth nothing if the mock accepts every request.
func TestContractRefusesWhatTheSchemaDoesNotHave(t *testing.T) {
	t.Parallel()

	judge := new(judge)
	c, err := New(Config{
		Mode: wallet.ModeTest, SecretKey: "sk_test_contract", URL: startMock(t),
		HTTPClient: &http.Client{Transport: judge},
	})
	require.NoError(t, err)

	c.Cancel(t.Context(), "pi_1", "boredom")

	require.Len(t, judge.refused, 1)
	require.Contains(t, judge.refused[0], "cancellation_reason")
}

// judge sends requests to the mock and records those that it refused.
type judge struct {
	asked   []string
	refused []string
}

// RoundTrip implements http.RoundTripper.
func (j *judge) RoundTrip(req *http.Request) (*http.Response, error) {
	j.asked = append(j.asked, req.Method+" "+req.URL.String())
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	if err := res.Body.Close(); err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		j.refused = append(j.refused, req.Method+" "+req.URL.String()+": "+res.Status+" "+string(body))
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// startMock starts a stripe-mock that ends with the test and returns its address.
// It sets both addresses, because stripe-mock otherwise opens its default port on
// every interface.
func startMock(t *testing.T) string {
	t.Helper()
	program := os.Getenv("STRIPE_MOCK_BIN")
	require.NotEmpty(t, program, "STRIPE_MOCK_BIN is not set; .ci/run tools builds stripe-mock into bin")
	mock := exec.Command(program, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	dieWithParent(mock)
	out, err := mock.StdoutPipe()
	require.NoError(t, err)
	mock.Stderr = mock.Stdout
	require.NoError(t, mock.Start())

	var read sync.WaitGroup
	lines := make(chan string, 16)
	read.Go(func() {
		defer close(lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			select {
			case lines <- scan.Text():
			default: // the test has ended and reads no more lines
			}
		}
	})
	t.Cleanup(func() {
		require.NoError(t, mock.Process.Kill())
		read.Wait()
		_ = mock.Wait() // an error is certain, because the process was killed
	})
	return mockAddress(t, lines)
}

// mockAddress waits until the mock prints its address.
func mockAddress(t *testing.T, lines <-chan string) string {
	t.Helper()
	const patience = 30 * time.Second
	late := time.After(patience)
	var said []string
	for {
		select {
		case line, ok := <-lines:
			require.True(t, ok, "stripe-mock ended: %q", said)
			said = append(said, line)
			if _, address, ok := strings.Cut(line, "Listening for HTTP at address: "); ok {
				return "http://" + strings.TrimSpace(address)
			}
		case <-late:
			require.Failf(t, "stripe-mock is not ready", "%q", said)
		}
	}
}
