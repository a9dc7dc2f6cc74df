package devpg

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// memoryDir is an in-memory file system.
const memoryDir = "/dev/shm"

// memoryNeeded is the free space, in bytes, that makes memoryDir usable. It is
// enough for several clusters with some dozen databases each, and leaves memory for
// other programs.
const memoryNeeded = 4 << 30

// memorySuffices reports whether memoryDir can hold a temporary cluster. In containers
// it is often too small.
func memorySuffices() bool {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryDir, &fs); err != nil {
		return false
	}
	if fs.Bavail*uint64(fs.Bsize) < memoryNeeded { //nolint:gosec // a block size is positive
		return false
	}
	content, err := os.ReadFile("/proc/meminfo")
	return err == nil && availableMemory(string(content)) >= memoryNeeded
}

// availableMemory returns the value of "MemAvailable:   12345678 kB" in
// /proc/meminfo, in bytes.
func availableMemory(meminfo string) int64 {
	_, rest, found := strings.Cut(meminfo, "MemAvailable:")
	if !found {
		return 0
	}
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10
}
