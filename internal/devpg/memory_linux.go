package devpg

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// memoryDir is a file system in memory.
const memoryDir = "/dev/shm"

// memoryNeeded is the room that makes memoryDir a good place, in bytes: some
// clusters at once, with some dozen databases each, and others need memory too.
const memoryNeeded = 4 << 30

// memoryRoomy reports whether memoryDir can take a temporary cluster. In a
// container it tends to be tiny.
func memoryRoomy() bool {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memoryDir, &fs); err != nil {
		return false
	}
	if fs.Bavail*uint64(fs.Bsize) < memoryNeeded { //nolint:gosec // a size is above zero
		return false
	}
	content, err := os.ReadFile("/proc/meminfo")
	return err == nil && availableMemory(string(content)) >= memoryNeeded
}

// availableMemory finds "MemAvailable:   12345678 kB" in /proc/meminfo.
func availableMemory(meminfo string) int64 {
	_, rest, found := strings.Cut(meminfo, "MemAvailable:")
	if !found {
		return 0
	}
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, _ := strconv.ParseInt(kilobytes, 10, 64)
	return n << 10
}
