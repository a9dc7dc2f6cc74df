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

// account is the operating system user that the server runs as. PostgreSQL refuses
// to run as root, so root runs it as another user.
type account struct {
	gid  uint32
	lent bool // whether it is another user than this process's
	uid  uint32
}

// serverAccount returns the user for a new cluster. The user must be in the user
// database, because initdb looks up its own name.
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
	return account{}, errors.New("postgres doesn't run as root, and no user nobody, postgres or daemon exists to run it as: " +
		remedies)
}

func ownAccount() account {
	return account{gid: uint32(os.Getegid()), uid: uint32(os.Geteuid())} //nolint:gosec // ids have 32 bits
}

// command returns a command that runs as the account. It gets a minimal
// environment, because ours can hold secrets. It starts in the root directory,
// because the account may not be able to enter ours. It gets its own session, so
// that Ctrl-C reaches this process only.
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

// reaches reports whether the account can enter the directory. It tries, because
// mode bits do not decide alone.
func (a account) reaches(ctx context.Context, dir string) bool {
	if !a.lent {
		return true
	}
	return a.command(ctx, "/bin/sh", "-c", `cd -- "$1"`, "sh", dir).Run() == nil
}

// own makes the account the owner of a file or directory.
func (a account) own(path string) error {
	if !a.lent {
		return nil
	}
	return os.Lchown(path, int(a.uid), int(a.gid))
}

// checkOurs returns an error unless the directory belongs to this user and no other
// user can change it. In a shared directory such as /tmp another user can create
// one under our name.
func checkOurs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", dir)
	}
	if uid := ownerOf(info); uid != uint32(os.Geteuid()) { //nolint:gosec // ids have 32 bits
		return fmt.Errorf("%s belongs to another user (%d)", dir, uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%s can be changed by others (mode %v)", dir, info.Mode().Perm())
	}
	return nil
}

func ownerOf(info os.FileInfo) uint32 {
	return info.Sys().(*syscall.Stat_t).Uid
}
