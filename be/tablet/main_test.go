package tablet

import (
	"bytes"
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
	given := os.Getenv("RAPID_CHECKS") != "" // make hunt
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", fmt.Sprint(upTo(300, 10))); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// copyOpen copies the folder of an open store: what a killed process leaves, at one moment, the one between the copy and the look at
// what was copied. What the background changes meanwhile, in a file or to the list of files, has it copied again.
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
		same, err := sameFiles(from, to, before)
		if err != nil {
			return err
		}
		if !same {
			continue
		}
		if cperr != nil {
			return fmt.Errorf("copy %s: %w: %s", from, cperr, out)
		}
		return nil
	}
}

// filesOf returns the files below dir, by their paths in it.
func filesOf(dir string) (map[string]bool, error) {
	files := make(map[string]bool)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) || err == nil && e.IsDir() {
			return nil // it is being removed: another list will differ
		}
		if rel, rerr := filepath.Rel(dir, path); rerr == nil {
			files[rel] = true
		}
		return err
	})
	return files, err
}

// sameFiles reports whether two folders have these files, with the same contents.
func sameFiles(a, b string, files map[string]bool) (bool, error) {
	for name := range files {
		x, xerr := os.ReadFile(filepath.Join(a, name))
		y, yerr := os.ReadFile(filepath.Join(b, name))
		err := errors.Join(xerr, yerr)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !bytes.Equal(x, y) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	after, err := filesOf(a)
	return maps.Equal(files, after), err
}
