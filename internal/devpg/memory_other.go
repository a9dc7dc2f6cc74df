//go:build !linux

package devpg

// memoryDir is a file system in memory, had there been one.
const memoryDir = "/dev/shm"

// memoryRoomy reports whether memoryDir can take a temporary cluster.
func memoryRoomy() bool { return false }
