package arch

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"
)

// elsewhere are names in documents that are the kernel's, or that the code puts together.
var elsewhere = map[string]bool{"io_uring": true, "SCM_RIGHTS": true, "sync_file_range": true,
	"stele_fe_local_connections": true, "stele_be_local_connections": true}

// installed are folders that make test-clients fills with what others have written.
var installed = map[string]bool{"tests/clients/apps": true, "tests/clients/node_modules": true}

// TestDocumentsNameWhatIsThere: paths and identifiers that stand as code in a document, and files that it links to, exist. Results are
// left out: they tell of the day on which they were measured.
func TestDocumentsNameWhatIsThere(t *testing.T) {
	faults, err := documentFaults(os.DirFS(filepath.Join("..", "..")))
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestDocumentRuleCatches(t *testing.T) {
	faults, err := documentFaults(fstest.MapFS{
		"a/x.go":      {Data: []byte("package a\n\nfunc keepOld() int { return some_item }\n")},
		"a/DESIGN.md": {Data: []byte("`keepOld` of `x.go`, `a/x.go` and [it](x.go) keeps `some_item`; `keepNew`, `y.go`, `a/z`, `no_item` and\n[that](y.go) are not there\n")},
	})
	if err != nil || len(faults) != 5 {
		t.Errorf("%q, %v", faults, err)
	}
}

var (
	fenced   = regexp.MustCompile("(?s)```.*?```")
	codeSpan = regexp.MustCompile("`([^`]+)`")
	link     = regexp.MustCompile(`\]\(([^)#:]+)\)`)
	pathLike = regexp.MustCompile(`^[a-z0-9_]+(/[a-zA-Z0-9_.]+)+$|^[a-z0-9_]+\.(go|md|proto|sim)$`)
	family   = regexp.MustCompile(`\w+[*…]`) // names that begin alike
	word     = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)
)

// documentFaults says what the documents below root name and is not there.
func documentFaults(root fs.FS) (faults []string, err error) {
	paths, words, documents := map[string]bool{}, map[string]bool{}, map[string]string{}
	err = fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		name := d.Name()
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "data" || name == "bin" || len(name) > 1 && name[0] == '.' || installed[file]):
			return fs.SkipDir
		}
		paths[file], paths[name] = true, true
		if d.IsDir() || strings.HasSuffix(name, ".pgo") || name == "RESULTS.md" {
			return nil
		}
		text, err := fs.ReadFile(root, file)
		if strings.HasSuffix(name, ".md") {
			documents[file] = string(text)
			return err
		}
		for _, w := range bytes.FieldsFunc(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
			words[string(w)] = true
		}
		return err
	})
	for file, text := range documents {
		for _, name := range unknown(text, path.Dir(file), paths, words) {
			faults = append(faults, file+" names "+name+", which is not there")
		}
	}
	return faults, err
}

// unknown are the paths and identifiers of a document in a folder that are neither among the paths nor among the words.
func unknown(text, folder string, paths, words map[string]bool) (out []string) {
	known := func(file string) bool {
		return paths[path.Clean(file)] || paths[path.Join(folder, file)] || paths[path.Clean(file)+".go"]
	}
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		if !paths[path.Join(folder, m[1])] {
			out = append(out, m[1])
		}
	}
	for _, m := range codeSpan.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		if pathLike.MatchString(m[1]) {
			if !known(m[1]) {
				out = append(out, m[1])
			}
			continue
		}
		for _, w := range word.FindAllString(family.ReplaceAllString(m[1], ""), -1) {
			if identifier(w) && !words[w] && !elsewhere[w] {
				out = append(out, w)
			}
		}
	}
	return out
}

// identifier reports whether a word can only be a name of the code: it has an underscore within or a capital behind a small letter.
func identifier(w string) bool {
	for i := 1; i+1 < len(w); i++ {
		if w[i] == '_' || unicode.IsUpper(rune(w[i])) && unicode.IsLower(rune(w[i-1])) {
			return true
		}
	}
	return false
}
