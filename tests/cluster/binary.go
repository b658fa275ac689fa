package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Binary returns a program built from the sources of this repository: bin/stele when it is newer than every source, or
// else one that is built beside it, once for all test processes. STELE_BINARY names another one.
var Binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("STELE_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	root := repository()
	changed, err := lastChange(root)
	if err != nil {
		return "", err
	}
	for _, path := range []string{filepath.Join(root, "bin", "stele"), builtPath(root)} {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(changed) {
			return path, nil
		}
	}
	return build(root, changed)
})

func repository() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

func builtPath(root string) string { return filepath.Join(root, "bin", "test", "stele") }

// lastChange is the time of the newest file that a build reads.
func lastChange(root string) (time.Time, error) {
	var newest time.Time
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (name == "testdata" || name == "tests" || name == "bin" || name == "data" || name[0] == '.') {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".md") {
			return nil
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
		return err
	})
	if err != nil {
		return newest, fmt.Errorf("look for changed sources: %w", err)
	}
	return newest, nil
}

// build makes the program under a lock, so that test processes that start together build it once, and puts it in place
// by rename, so that a cluster that runs keeps its own.
func build(root string, changed time.Time) (path string, err error) {
	path = builtPath(root)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", fmt.Errorf("build stele: %w", err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return "", fmt.Errorf("build stele: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("build stele: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.ModTime().After(changed) {
		return path, nil
	}
	cmd := exec.Command("go", "build", "-o", path+".new", ".")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build stele: %w\n%s", err, out)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("build stele: %w", err)
	}
	return path, nil
}
