package tablet

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// proveEnv makes the tests of this package go all the way (make prove-storage): more random histories, a fault at every write,
// tens of thousands of tablets. Without it they take a sample of the same, another one each time, in a few seconds.
const proveEnv = "STELE_PROVE"

var proving = os.Getenv(proveEnv) != ""

// upTo returns all when proving, else a sample.
func upTo(all, sample int) int {
	if proving {
		return all
	}
	return sample
}

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", fmt.Sprint(upTo(300, 10))); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// copyOpen copies the folder of an open store: what a killed process leaves. A copy takes a while, in which Badger may begin and
// remove files, and a file that came after the list was made would be missing: then it is made again.
func copyOpen(from, to string) error {
	for {
		if err := os.RemoveAll(to); err != nil {
			return err
		}
		before, err := filesOf(from)
		if err != nil {
			return err
		}
		out, cperr := exec.Command("cp", "-a", "--sparse=always", from, to).CombinedOutput()
		after, err := filesOf(from)
		if err != nil {
			return err
		}
		if !maps.Equal(before, after) {
			continue
		}
		if cperr != nil {
			return fmt.Errorf("copy %s: %w: %s", from, cperr, out)
		}
		return nil
	}
}

// filesOf returns the files below dir with their sizes.
func filesOf(dir string) (map[string]int64, error) {
	files := make(map[string]int64)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			files[path] = -1 // it is being removed: another list will differ
			return nil
		}
		if err == nil {
			files[path] = info.Size()
		}
		return err
	})
	return files, err
}
