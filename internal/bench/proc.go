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

// tick is the unit of processor times in /proc, which Linux fixes for programs.
const tick = time.Second / 100

// errNoProc says that this system does not tell what processes use. Everything
// else is measured all the same.
var errNoProc = errors.New("no /proc")

// usage is the processor time that a process has used.
type usage struct {
	parent   int
	own      time.Duration
	children time.Duration // of those that ended and were waited for
}

// readUsage reads /proc/<pid>/stat.
func readUsage(pid int) (usage, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, errNoProc
	}
	// The name in parentheses may hold anything, so the fields begin behind it.
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

// processTime is the processor time of one process.
func processTime(pid int) time.Duration {
	u, _ := readUsage(pid) // 0 where the system does not tell
	return u.own
}

// familyTime is the processor time of a process and all its children, those that
// have ended as well.
func familyTime(pid int) time.Duration {
	const tries = 10
	var total time.Duration
	for range tries {
		before, err := readUsage(pid)
		if err != nil {
			return 0
		}
		total = before.own + before.children + childrenTime(pid)
		// A child that ended meanwhile may have been counted twice, or not at all.
		if after, err := readUsage(pid); err == nil && after.children == before.children {
			break
		}
	}
	return total
}

// childrenTime is the processor time of a process's living children.
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

// peakMemory is the most memory that a process has had resident since the last
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

// resetPeak makes peakMemory begin anew.
func resetPeak(pid int) {
	const peak = "5"
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte(peak), 0) // without it the peak is that of the whole life
}
