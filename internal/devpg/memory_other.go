//go:build !linux

package devpg

// memoryDir is the in-memory file system of Linux. It is not used elsewhere.
const memoryDir = "/dev/shm"

// memorySuffices reports whether memoryDir can hold a temporary cluster.
func memorySuffices() bool { return false }
