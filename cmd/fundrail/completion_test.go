package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestComplete(t *testing.T) {
	t.Parallel()

	for name, tt := range map[string]struct {
		words []string
		want  []string
	}{
		"Command":           {[]string{"mig"}, []string{"migrate"}},
		"CommandBelow":      {[]string{"migrate", ""}, []string{"up", "down", "status"}},
		"Flag":              {[]string{"key", "create", "--mo"}, []string{"--mode"}},
		"FlagOfAll":         {[]string{"migrate", "up", "--vers"}, []string{"--version"}},
		"Value":             {[]string{"key", "create", "--mode", ""}, []string{"test", "live"}},
		"ValueBegun":        {[]string{"key", "create", "--mode", "l"}, []string{"live"}},
		"ValueAssigned":     {[]string{"key", "create", "--mode=l"}, []string{"--mode=live"}},
		"ValueSplitByBash":  {[]string{"key", "create", "--mode", "=", "l"}, []string{"live"}},
		"ValueBegunByBash":  {[]string{"key", "create", "--mode", "="}, []string{"test", "live"}},
		"Argument":          {[]string{"completion", ""}, []string{"bash", "fish", "zsh"}},
		"BehindABoolean":    {[]string{"audit", "--json", "--js"}, []string{"--json"}},
		"BehindAValue":      {[]string{"key", "create", "--mode", "test", "--scop"}, []string{"--scopes"}},
		"FreeValue":         {[]string{"dev", "--data-dir", ""}, nil},
		"UnknownFlag":       {[]string{"dev", "--none=x"}, nil},
		"NoSecondArgument":  {[]string{"completion", "bash", ""}, nil},
		"HelpIsNotAskedFor": {[]string{"--help", "mig"}, []string{"migrate"}},
		"NothingHidden":     {[]string{"__"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			r := fundrail(t, nil, append([]string{"__complete"}, tt.words...)...)

			require.Equal(t, exitOK, r.code, r.stderr)
			var words []string
			for line := range strings.Lines(r.stdout) {
				word, help, _ := strings.Cut(line, "\t")
				require.NotEmpty(t, strings.TrimSpace(help))
				words = append(words, word)
			}
			require.Equal(t, tt.want, words)
		})
	}

	t.Run("EveryCommandAtTheBeginning", func(t *testing.T) {
		t.Parallel()

		for _, args := range [][]string{{"__complete"}, {"__complete", ""}} {
			r := fundrail(t, nil, args...)
			require.Contains(t, r.stdout, "demo\tTell the whole story")
			require.Contains(t, r.stdout, "\ncompletion\t")
			require.NotContains(t, r.stdout, "supervised")
		}
	})
}

func TestCompletion(t *testing.T) {
	t.Parallel()

	for _, shell := range []string{"bash", "fish", "zsh"} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()

			r := fundrail(t, nil, "completion", shell)

			require.Equal(t, exitOK, r.code)
			require.Contains(t, r.stdout, "__complete")
			path := filepath.Join(t.TempDir(), "script")
			require.NoError(t, os.WriteFile(path, []byte(r.stdout), 0o600))
			program, err := exec.LookPath(shell)
			if err != nil {
				t.Logf("%s is not on this machine: its script is not read", shell)
				return
			}
			out, err := exec.CommandContext(t.Context(), program, "-n", path).CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}

	t.Run("OtherShell", func(t *testing.T) {
		t.Parallel()

		r := fundrail(t, nil, "completion", "cmd")
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.stderr, `must be one of "bash","fish","zsh"`)
	})

	t.Run("BashAsksTheProgram", func(t *testing.T) {
		t.Parallel()

		dir := t.TempDir()
		program := "#!/bin/sh\nprintf '%s|' \"$@\" >" + dir + "/asked\nprintf 'live\\tlive mode\\ntest\\ttest mode\\n'\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, "fundrail"), []byte(program), 0o700))
		script := fundrail(t, nil, "completion", "bash").stdout + `
COMP_WORDS=(fundrail key create --mode "")
COMP_CWORD=4
_fundrail
printf '%s|' "${COMPREPLY[@]}"
`
		cmd := exec.CommandContext(t.Context(), "bash", "-c", script)
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Equal(t, "live|test|", string(out))
		asked, err := os.ReadFile(filepath.Join(dir, "asked"))
		require.NoError(t, err)
		require.Equal(t, "__complete|key|create|--mode||", string(asked))
	})
}
