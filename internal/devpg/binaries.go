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
	// oldest is the oldest PostgreSQL version that Fundrail supports.
	oldest = 14

	remedies = "install PostgreSQL 14 or newer (Debian and Ubuntu: the package postgresql; macOS: brew install postgresql), " +
		"or set DATABASE_URL to a server that you have, or run `docker compose up -d` and set DATABASE_URL to that one"
)

// binaries is a PostgreSQL installation that the server's account can run.
type binaries struct {
	dir     string
	major   int
	version string // the output of postgres --version
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// finder searches for installations.
type finder struct {
	// fetch downloads an installation for an account and returns its directory of
	// binaries. It is called if no other is found.
	fetch func(ctx context.Context, a account) (string, error)
	// globs are patterns of directories of binaries. For each pattern, the path
	// with the highest number is tried first.
	globs []string
	// path is a list of directories, in the format of the environment variable
	// PATH.
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

// find returns the first installation that the account can run and that has the
// major version. A major of 0 means any supported version.
func (f *finder) find(ctx context.Context, a account, major int) (binaries, error) {
	var unusable []error
	for _, dir := range f.candidates() {
		b, err := inspect(ctx, a, dir)
		if err == nil && b.suits(major) {
			return b, nil
		}
		if err == nil {
			err = fmt.Errorf("%s has PostgreSQL %d", dir, b.major)
		}
		unusable = append(unusable, err)
	}
	if major == 0 {
		b, err := f.fetched(ctx, a)
		if err == nil {
			return b, nil
		}
		unusable = append(unusable, err)
	}
	return binaries{}, notFound(major, unusable)
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

func notFound(major int, unusable []error) error {
	what := "no usable PostgreSQL on this machine"
	if major != 0 {
		what = fmt.Sprintf("the data directory is of PostgreSQL %d, which is not installed", major)
	}
	if len(unusable) == 0 {
		return fmt.Errorf("%s: %s", what, remedies)
	}
	return fmt.Errorf("%s: %s (tried: %w)", what, remedies, errors.Join(unusable...))
}

// candidates returns the directories that contain postgres and initdb.
func (f *finder) candidates() []string {
	dirs := filepath.SplitList(f.path)
	for _, pattern := range f.globs {
		found, _ := filepath.Glob(pattern)
		slices.SortFunc(found, func(a, b string) int { return pathNumber(b) - pathNumber(a) })
		dirs = append(dirs, found...)
	}
	var out []string
	for _, dir := range dirs {
		// The programs in PATH may be links into the installation's directory.
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

// pathNumber returns the last number in a path, or 0 if it has none.
func pathNumber(path string) int {
	all := digits.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(all[len(all)-1])
	return n
}

// inspect runs postgres --version. This shows the version and that the account can
// run the binaries.
func inspect(ctx context.Context, a account, dir string) (binaries, error) {
	out, err := a.command(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	version := strings.TrimSpace(string(out))
	if err != nil {
		return binaries{}, fmt.Errorf("run %s/postgres as user %d: %w %s", dir, a.uid, err, version)
	}
	// The output is like "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
	major, err := strconv.Atoi(digits.FindString(version))
	if err != nil {
		return binaries{}, fmt.Errorf("%s/postgres says its version is %q", dir, version)
	}
	return binaries{dir: dir, major: major, version: version}, nil
}
