package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKilledTortureLeavesNoProcess kills the process of a storm while the storm runs.
// Its services must end although nothing stops them.
func TestKilledTortureLeavesNoProcess(t *testing.T) {
	t.Parallel()

	p := startProcess(t, buildBinary(t), "", "torture", "--duration=60s")
	family := func() []int { return descendants(t, p.cmd.Process.Pid) }
	var servers []int
	require.Eventually(t, func() bool {
		servers = services(t, family())
		return len(servers) == 3
	}, startWithin, lookEvery, "three services should run")

	require.NoError(t, p.cmd.Process.Kill())
	<-p.exited

	require.Eventually(t, func() bool { return !slices.ContainsFunc(servers, alive) }, stopWithin, lookEvery, "orphans")
}

// services returns the processes that run fundrail serve or worker.
func services(t *testing.T, pids []int) (list []int) {
	t.Helper()
	for _, pid := range pids {
		line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if err != nil {
			continue // the process has ended meanwhile
		}
		args := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
		if last := args[len(args)-1]; last == "serve" || last == "worker" {
			list = append(list, pid)
		}
	}
	return list
}

// descendants returns the children of a process, their children, and so on.
func descendants(t *testing.T, pid int) (list []int) {
	t.Helper()
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	require.NoError(t, err)
	for _, task := range tasks {
		content, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(content)) {
			child, err := strconv.Atoi(field)
			require.NoError(t, err)
			list = append(append(list, child), descendants(t, child)...)
		}
	}
	return list
}
