//go:build packaging

package packaging_test

import (
	"debug/elf"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

func TestImage(t *testing.T) {
	t.Parallel()

	dockerfile := readFile(t, "Dockerfile")
	_, last, found := strings.Cut(dockerfile, "FROM scratch\n")
	require.True(t, found, "the image starts from scratch")

	t.Run("BinaryIsStatic", func(t *testing.T) {
		t.Parallel()

		file, err := elf.Open(binary(t))
		require.NoError(t, err)
		defer file.Close()

		libraries, err := file.ImportedLibraries()
		require.NoError(t, err)
		require.Empty(t, libraries)
		for _, header := range file.Progs {
			require.NotEqual(t, elf.PT_INTERP, header.Type, "the binary asks for a dynamic loader")
		}
	})

	t.Run("BinaryRunsAlone", func(t *testing.T) {
		t.Parallel()

		out, err := runAlone(t, "--help")
		require.NoError(t, err, out)
		require.Contains(t, out, "Usage: fundrail")
	})

	t.Run("CommandExists", func(t *testing.T) {
		t.Parallel()

		require.Contains(t, last, `ENTRYPOINT ["/fundrail"]`)
		command := regexp.MustCompile(`(?m)^CMD \["([a-z]+)"\]$`).FindStringSubmatch(last)
		require.NotNil(t, command)
		out, err := runAlone(t, command[1], "--help")
		require.NoError(t, err, out)
	})

	t.Run("CompilerIsTheModulesOwn", func(t *testing.T) {
		t.Parallel()

		version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(readFile(t, "go.mod"))
		require.NotNil(t, version)
		require.Contains(t, dockerfile, "FROM golang:"+version[1]+"-")
	})

	t.Run("TimeZonesExist", func(t *testing.T) {
		t.Parallel()

		const zones = "/usr/local/go/lib/time/zoneinfo.zip"
		require.Contains(t, last, "COPY --from=build "+zones+" /zoneinfo.zip")
		require.Contains(t, last, "ENV ZONEINFO=/zoneinfo.zip")
		goroot, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
		require.NoError(t, err)
		require.FileExists(t, strings.Replace(zones, "/usr/local/go", strings.TrimSpace(string(goroot)), 1))
	})

	t.Run("UserIsNotRoot", func(t *testing.T) {
		t.Parallel()

		// A number, since an image from scratch knows no names.
		require.Regexp(t, `(?m)^USER [1-9]\d*:[1-9]\d*$`, last)
	})
}

// binary runs the Dockerfile's build line once for all tests, on the files that
// .dockerignore includes, and returns the path of the binary.
func binary(t *testing.T) string {
	t.Helper()
	path, err := buildOnce()
	require.NoError(t, err)
	return path
}

var (
	buildDir  string
	buildOnce = sync.OnceValues(build)
)

func TestMain(m *testing.M) {
	code := func() int {
		dir, err := os.MkdirTemp("", "fundrail-packaging-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		buildDir = dir
		return m.Run()
	}()
	os.Exit(code)
}

func build() (string, error) {
	source := filepath.Join(buildDir, "src")
	if err := copyContext(source); err != nil {
		return "", err
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		return "", err
	}
	line := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*)$`).FindSubmatch(dockerfile)
	if line == nil {
		return "", errors.New("the Dockerfile has no build line")
	}
	path := filepath.Join(buildDir, "fundrail")
	cmd := exec.Command("sh", "-c", strings.Replace(string(line[1]), "/out/fundrail", path, 1))
	cmd.Dir = source
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
}

// copyContext copies the build context of the image: the entries that .dockerignore names
// after an exclamation mark, without tests and their data.
func copyContext(to string) error {
	ignore, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		return err
	}
	var sent []string
	for line := range strings.Lines(string(ignore)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "!"); found {
			sent = append(sent, name)
		}
	}
	return fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == "." {
			return err
		}
		top, _, _ := strings.Cut(path, "/")
		switch {
		case !slices.Contains(sent, top), entry.Name() == "testdata":
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, path), 0o755)
		case strings.HasSuffix(path, "_test.go"):
			return nil
		}
		content, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, path), content, 0o644)
	})
}

// runAlone runs the binary with no environment, as the image's user and with
// nothing else in its file system where the test may do that (it is root).
func runAlone(t *testing.T, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile(binary(t))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "fundrail"), content, 0o755))

	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "fundrail"), args...)
	cmd.Dir, cmd.Env = dir, []string{}
	if runtime.GOOS == "linux" && os.Geteuid() == 0 {
		require.NoError(t, os.Chmod(dir, 0o755))
		cmd.Path, cmd.Dir = "/fundrail", "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Chroot:     dir,
			Credential: &syscall.Credential{Uid: 65532, Gid: 65532},
		}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, name))
	require.NoError(t, err)
	return string(content)
}
