package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	// oldest is the first PostgreSQL version that Fundrail supports.
	oldest = 14

	waysOut = "install PostgreSQL 14 or newer (Debian and Ubuntu: the package postgresql; macOS: brew install postgresql), " +
		"or set DATABASE_URL to a server that you have, or run `docker compose up -d` and set DATABASE_URL to that one"
)

// binaries is an installation of PostgreSQL that the server's account can run.
type binaries struct {
	dir     string
	major   int
	version string // what postgres says about itself
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// finder knows where installations may be.
type finder struct {
	// fetch unpacks an installation for an account, and returns its directory
	// of binaries. It is the last resort.
	fetch func(ctx context.Context, a account) (string, error)
	// globs are patterns of directories of binaries, tried from the highest
	// number in a path to the lowest.
	globs []string
	// path is a list of directories, as in the environment variable.
	path string
}

func defaultFinder() *finder {
	return &finder{
		fetch: fetchBinaries,
		globs: []string{
			"/usr/lib/postgresql/*/bin",
			"/usr/pgsql-*/bin",
			"/usr/libexec/postgresql*",
			"/opt/homebrew/opt/postgresql*/bin",
			"/usr/local/opt/postgresql*/bin",
			"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
			"/Applications/Postgres.app/Contents/Versions/*/bin",
		},
		path: os.Getenv("PATH"),
	}
}

// find returns the first installation that works for the account: one of the
// wanted major version, or any that we support if that is 0.
func (f *finder) find(ctx context.Context, a account, major int) (binaries, error) {
	var misfits []error
	for _, dir := range f.candidates() {
		b, err := inspect(ctx, a, dir)
		if err == nil && b.suits(major) {
			return b, nil
		}
		if err == nil {
			err = fmt.Errorf("%s has PostgreSQL %d", dir, b.major)
		}
		misfits = append(misfits, err)
	}
	if major == 0 {
		b, err := f.fetched(ctx, a)
		if err == nil {
			return b, nil
		}
		misfits = append(misfits, err)
	}
	return binaries{}, notFound(major, misfits)
}

func (f *finder) fetched(ctx context.Context, a account) (binaries, error) {
	dir, err := f.fetch(ctx, a)
	if err != nil {
		return binaries{}, fmt.Errorf("fetch: %w", err)
	}
	return inspect(ctx, a, dir)
}

func (b binaries) suits(major int) bool {
	if major == 0 {
		return b.major >= oldest
	}
	return b.major == major
}

func notFound(major int, misfits []error) error {
	what := "no usable PostgreSQL on this machine"
	if major != 0 {
		what = fmt.Sprintf("the data directory is one of PostgreSQL %d, which isn't on this machine", major)
	}
	if len(misfits) == 0 {
		return fmt.Errorf("%s: %s", what, waysOut)
	}
	return fmt.Errorf("%s: %s (looked at: %w)", what, waysOut, errors.Join(misfits...))
}

// candidates lists the directories that have a server and initdb in them.
func (f *finder) candidates() []string {
	dirs := filepath.SplitList(f.path)
	for _, pattern := range f.globs {
		found, _ := filepath.Glob(pattern)
		slices.SortFunc(found, func(a, b string) int { return pathNumber(b) - pathNumber(a) })
		dirs = append(dirs, found...)
	}
	var out []string
	for _, dir := range dirs {
		// What is in PATH may be links into the installation proper.
		server, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
		if err != nil || !filepath.IsAbs(server) {
			continue
		}
		dir = filepath.Dir(server)
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil && !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}

var digits = regexp.MustCompile(`\d+`)

// pathNumber is the last number in a path.
func pathNumber(path string) int {
	all := digits.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1])
	return n
}

// inspect runs the server's binary, which shows both its version and that the
// account can run it.
func inspect(ctx context.Context, a account, dir string) (binaries, error) {
	out, err := a.command(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	version := strings.TrimSpace(string(out))
	if err != nil {
		return binaries{}, fmt.Errorf("run %s/postgres as user %d: %w %s", dir, a.uid, err, version)
	}
	// As in "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
	major, err := strconv.Atoi(digits.FindString(version))
	if err != nil {
		return binaries{}, fmt.Errorf("%s/postgres says its version is %q", dir, version)
	}
	return binaries{dir: dir, major: major, version: version}, nil
}
