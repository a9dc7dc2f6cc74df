package devpg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is the operating system user that the server runs as. PostgreSQL
// refuses to run as root, so root lends it the identity of another.
type account struct {
	gid  uint32
	lent bool // false: the server runs as the user we are
	uid  uint32
}

// serverAccount picks the user for a new cluster. It needs an entry in the user
// database, because initdb looks its own name up.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		return ownAccount(), nil
	}
	for _, name := range []string{"nobody", "postgres", "daemon"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return account{gid: uint32(gid), lent: true, uid: uint32(uid)}, nil
		}
	}
	return account{}, errors.New("postgres doesn't run as root, and there is no user nobody, postgres or daemon to run it as: " +
		waysOut)
}

func ownAccount() account {
	return account{gid: uint32(os.Getegid()), uid: uint32(os.Geteuid())} //nolint:gosec // ids have 32 bits
}

// command prepares a program to run as the account. It inherits nothing that it
// doesn't need: our environment has secrets, our working directory may be out of
// the account's reach, and our terminal's Ctrl-C is for us to handle.
func (a account) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // the programs of PostgreSQL that were found
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	for _, name := range []string{"DYLD_LIBRARY_PATH", "LD_LIBRARY_PATH"} {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if a.lent {
		cmd.SysProcAttr.Credential = &syscall.Credential{Gid: a.gid, Uid: a.uid}
	}
	return cmd
}

// reaches reports whether the account can enter the directory. It asks the
// kernel by trying, since mode bits aren't the whole story.
func (a account) reaches(ctx context.Context, dir string) bool {
	if !a.lent {
		return true
	}
	return a.command(ctx, "/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run() == nil
}

// own makes the account the owner of a file or directory of ours.
func (a account) own(path string) error {
	if !a.lent {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// checkOurs refuses a directory that isn't ours alone to change, as one that
// somebody else put in our way in a shared place such as /tmp.
func checkOurs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if uid := ownerOf(info); uid != uint32(os.Geteuid()) { //nolint:gosec // ids have 32 bits
		return fmt.Errorf("%s belongs to user %d and not to us", dir, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be changed by others (mode %v)", dir, info.Mode().Perm())
	}
	return nil
}

func ownerOf(info os.FileInfo) uint32 {
	return info.Sys().(*syscall.Stat_t).Uid
}
