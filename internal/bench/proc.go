package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of processor times in /proc, which is constant on Linux.
const tick = time.Second / 100

// errNoProc means that this system does not report the usage of processes.
// Everything else is measured.
var errNoProc = errors.New("no /proc")

// usage is the processor time of a process.
type usage struct {
	parent   int
	own      time.Duration
	children time.Duration // of children that have ended and were waited for
}

// readUsage reads /proc/<pid>/stat.
func readUsage(pid int) (usage, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, errNoProc
	}
	// The name in parentheses can contain any character, so the fields start after
	// it.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	const parent, user, system, childUser, childSystem = 1, 11, 12, 13, 14
	if len(fields) <= childSystem {
		return usage{}, errNoProc
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(string(fields[i])) // the kernel writes numbers
		return n
	}
	return usage{
		parent:   number(parent),
		own:      time.Duration(number(user)+number(system)) * tick,
		children: time.Duration(number(childUser)+number(childSystem)) * tick,
	}, nil
}

// processTime returns the processor time of one process.
func processTime(pid int) time.Duration {
	u, _ := readUsage(pid) // 0 if the system does not report it
	return u.own
}

// familyTime returns the processor time of a process and all its children,
// including those that have ended.
func familyTime(pid int) time.Duration {
	const tries = 10
	var total time.Duration
	for range tries {
		before, err := readUsage(pid)
		if err != nil {
			return 0
		}
		total = before.own + before.children + childrenTime(pid)
		// A child that ended during the reading may be counted twice, or not at
		// all.
		if after, err := readUsage(pid); err == nil && after.children == before.children {
			break
		}
	}
	return total
}

// childrenTime returns the processor time of a process's running children.
func childrenTime(pid int) time.Duration {
	var total time.Duration
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if c, err := readUsage(child); err == nil && c.parent == pid {
			total += c.own + c.children
		}
	}
	return total
}

// peakMemory returns the peak resident memory of a process since the last
// resetPeak, in bytes.
func peakMemory(pid int) int64 {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(content) {
		rest, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		kib, _ := strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
		return kib << 10
	}
	return 0
}

// resetPeak resets the peak of peakMemory.
func resetPeak(pid int) {
	const peak = "5"
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte(peak), 0) // if it fails, the peak is that of the process's whole life
}
