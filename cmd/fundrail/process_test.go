package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/devstack"
	"github.com/fundrail/fundrail/internal/testdb"
)

// stopWithin limits the time that a process takes to end on a busy machine.
const stopWithin = 10 * time.Second

// process is fundrail in a separate process.
type process struct {
	cmd    *exec.Cmd
	err    error // how it ended, once exited is closed
	exited chan struct{}
	output *syncWriter
}

// buildBinary builds the command as `go run` does.
func buildBinary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fundrail")
	out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// testServer is the database server of the tests, or empty for a private one.
var testServer = os.Getenv("DATABASE_URL")

// ownDatabase returns the address of a new database on the server of the tests, or
// an empty string for a private server.
func ownDatabase(t *testing.T) string {
	t.Helper()
	if testServer == "" {
		return ""
	}
	return testdb.URL(t, testdb.Empty())
}

// startProcess starts fundrail. The environment has no settings except the database,
// if there is one. The process ends when this process ends, even if it is killed.
func startProcess(t *testing.T, binary, database string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(binary, args...), exited: make(chan struct{}), output: &syncWriter{}}
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{
			"ACTION_DEADLINE", "DATABASE_URL", "FUND_WAIT", "LISTEN_ADDR", "LOG_FORMAT", "LOG_LEVEL", "PUBLIC_URL",
			"RATE_LIMIT_PER_MINUTE", "WORKERS",
		}, name)
	})
	if database != "" {
		p.cmd.Env = append(p.cmd.Env, "DATABASE_URL="+database)
	}
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	dieWithParent(p.cmd)
	require.NoError(t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s printed:\n%s", strings.Join(args, " "), p.output)
		}
	})
	return p
}

// wait returns how the process ended.
func (p *process) wait(t *testing.T, within time.Duration) error {
	t.Helper()
	select {
	case <-p.exited:
		return p.err
	case <-time.After(within):
		require.Fail(t, "the process does not end", p.output.String())
		return nil
	}
}

// stop ends the process with a signal and requires that it exits without error.
func (p *process) stop(t *testing.T, signal os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(signal))
	require.NoError(t, p.wait(t, stopWithin), p.output)
}

// dev is a running `fundrail dev`.
type dev struct {
	*process
	ready
}

func startDev(t *testing.T, binary, database, dataDir string) *dev {
	t.Helper()
	readyFile := filepath.Join(t.TempDir(), "ready.json")
	d := &dev{process: startProcess(t, binary, database, "dev", "--data-dir", dataDir, "--ready-file", readyFile,
		"--listen", "127.0.0.1:0", "--stripe-listen", "127.0.0.1:0")}
	require.Eventually(t, func() bool {
		content, err := os.ReadFile(readyFile)
		if err != nil {
			select {
			case <-d.exited:
				require.Fail(t, "dev ended", d.output.String())
			default:
			}
			return false
		}
		decoder := json.NewDecoder(bytes.NewReader(content))
		decoder.DisallowUnknownFields()
		require.NoError(t, decoder.Decode(&d.ready), "a ready file is complete or does not exist")
		return true
	}, startWithin, lookEvery)
	info, err := os.Stat(readyFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	return d
}

// call sends a request to the API with the seeded key and returns the answer.
func (d *dev) call(t *testing.T, method, path, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, d.APIURL+path, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+d.APIKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	var o map[string]any
	require.NoError(t, json.Unmarshal(content, &o), string(content))
	return res.StatusCode, o
}

// logIn opens the dashboard as the admin of the ready file.
func (d *dev) logIn(t *testing.T) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	browser := &http.Client{Jar: jar}
	send := func(address string, form url.Values) string {
		t.Helper()
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := browser.Do(req)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return string(body)
	}
	form := send(d.DashboardURL, nil)
	token := regexp.MustCompile(`name="csrf" value="([^"]+)"`).FindStringSubmatch(form)
	require.NotNil(t, token, form)
	page := send(d.APIURL+"/admin/login", url.Values{
		"csrf": {token[1]}, "email": {d.AdminEmail}, "password": {d.AdminPassword},
	})
	require.Contains(t, page, d.AdminEmail)
	require.Contains(t, page, "Money in flight")
}

func (d *dev) fund(t *testing.T, card, amount string) map[string]any {
	t.Helper()
	status, o := d.call(t, http.MethodPost, "/v1/wallet/fund",
		fmt.Sprintf(`{"payment_method_id":%q,"amount":%q}`, d.PaymentMethods[card], amount))
	require.Equal(t, http.StatusOK, status, o)
	return o
}

func (d *dev) balance(t *testing.T) string {
	t.Helper()
	_, o := d.call(t, http.MethodGet, "/v1/wallet", "")
	return o["balance"].(string)
}

// postgresGone returns a function that reports whether the private PostgreSQL has
// ended. Without a private one it always returns true.
func (d *dev) postgresGone(t *testing.T) func() bool {
	t.Helper()
	if testServer != "" {
		return func() bool { return true }
	}
	conn, err := pgx.Connect(t.Context(), d.DatabaseURL)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	var line string
	require.NoError(t, conn.QueryRow(t.Context(), `select split_part(pg_read_file('postmaster.pid'), e'\n', 1)`).Scan(&line))
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	require.True(t, alive(pid))
	return func() bool { return !alive(pid) }
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || err == syscall.EPERM
}

func TestProcesses(t *testing.T) {
	t.Parallel()

	binary := buildBinary(t)

	t.Run("TwoDemosAtTheSameTime", func(t *testing.T) {
		t.Parallel()

		first, second := startProcess(t, binary, testServer, "demo"), startProcess(t, binary, testServer, "demo")

		for _, p := range []*process{first, second} {
			require.NoError(t, p.wait(t, startWithin), p.output)
			require.Regexp(t, `All \d+ checks held`, p.output.String())
			require.NotContains(t, p.output.String(), "\x1b", "colors are for terminals")
			require.Empty(t, list(t, p.cmd.Dir), "no file is left")
		}
	})

	t.Run("KeptDemoContinuesAsDev", func(t *testing.T) {
		t.Parallel()

		database, dir := ownDatabase(t), dataDirOf(t)
		for range 2 { // the second run uses the database of the first
			demo := startProcess(t, binary, database, "demo", "--data-dir", dir)
			require.NoError(t, demo.wait(t, startWithin), demo.output)
		}

		d := startDev(t, binary, database, dir)
		require.Equal(t, "410.00", d.balance(t))
		d.stop(t, os.Interrupt)
	})

	t.Run("DevAnswersAndStops", func(t *testing.T) {
		t.Parallel()

		database, dir := ownDatabase(t), dataDirOf(t)
		d := startDev(t, binary, database, dir)
		gone := d.postgresGone(t)

		require.Equal(t, "25.00", d.fund(t, "visa", "25.00")["balance"])
		require.Contains(t, d.output.String(), d.APIURL+"/v1/wallet/fund")
		for _, name := range devstack.CardNames() {
			require.Regexp(t, `^pm_test_`, d.PaymentMethods[name])
			require.Len(t, d.PaymentMethods[name+"_uuid"], 36)
		}
		require.Len(t, d.PaymentMethods, 2*len(devstack.CardNames()))

		other := startProcess(t, binary, database, "dev", "--data-dir", dir, "--listen", "127.0.0.1:0", "--stripe-listen", "127.0.0.1:0")
		require.Error(t, other.wait(t, startWithin))
		require.Contains(t, other.output.String(), "another fundrail is using "+dir)

		d.stop(t, os.Interrupt)
		require.True(t, gone(), "PostgreSQL still runs")
	})

	t.Run("DevContinuesAfterKill", func(t *testing.T) {
		t.Parallel()

		database, dir := ownDatabase(t), dataDirOf(t)
		first := startDev(t, binary, database, dir)
		gone := first.postgresGone(t)
		require.Equal(t, "25.00", first.fund(t, "visa", "25.00")["balance"])
		first.logIn(t)
		challenged := first.fund(t, "three_d_secure_required", "40.00")

		require.NoError(t, first.cmd.Process.Kill())
		require.Error(t, first.wait(t, stopWithin))
		require.Eventually(t, gone, stopWithin, lookEvery, "PostgreSQL still runs")

		second := startDev(t, binary, database, dir)
		require.Equal(t, first.APIKey, second.APIKey)
		require.Equal(t, first.WalletID, second.WalletID)
		require.Equal(t, first.WebhookSecret, second.WebhookSecret)
		require.Equal(t, first.AdminPassword, second.AdminPassword)
		second.logIn(t)
		require.Equal(t, first.PaymentMethods, second.PaymentMethods)
		require.Equal(t, "25.00", second.balance(t))

		// The challenge that was open when the process died is passed now.
		res, err := http.PostForm(challenged["redirect_url"].(string), url.Values{"outcome": {"succeed"}})
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Eventually(t, func() bool { return second.balance(t) == "65.00" }, stopWithin, lookEvery)

		second.stop(t, syscall.SIGTERM)
	})
}

// dataDirOf returns a directory that the user who runs PostgreSQL may enter, unlike
// the one of t.TempDir.
func dataDirOf(t *testing.T) string {
	t.Helper()
	dir, err := devstack.NewDataDir()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// list returns the names of the files in a directory.
func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
