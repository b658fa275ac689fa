package conf

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the generated files instead of comparing them")

// TestGenerated proves that the files beside the declarations say what the declarations say.
func TestGenerated(t *testing.T) {
	for name, want := range map[string][]byte{"fe.conf": FE.Template(), "be.conf": BE.Template(), "CONFIG.md": Manual()} {
		if *update {
			if err := os.WriteFile(name, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is out of date: run `make gen`", name)
		}
	}
}

// TestTemplateIsAFile proves that a template is valid as it stands and also when every item in it is switched on.
func TestTemplateIsAFile(t *testing.T) {
	commented := regexp.MustCompile(`(?m)^#([a-z_]+ =)`)
	for _, r := range []*Registry{FE, BE} {
		active := commented.ReplaceAll(r.Template(), []byte("$1"))
		plain, err := r.Parse("template", r.Template(), "/base")
		if err != nil {
			t.Fatal(err)
		}
		switchedOn, err := r.Parse("template", active, "/base")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range r.All() {
			if plain.Text(s) != switchedOn.Text(s) {
				t.Errorf("%s: default %q, from the template %q", s.Key, plain.Text(s), switchedOn.Text(s))
			}
			if plain.Origin(s).Source != FromDefault || switchedOn.Origin(s).Source != FromFile {
				t.Errorf("%s: origins %v and %v", s.Key, plain.Origin(s), switchedOn.Origin(s))
			}
		}
	}
}
