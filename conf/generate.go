package conf

import (
	"fmt"
	"strings"
)

// Template returns the commented configuration file of a registry: every item with its documentation, bounds and
// default. It is itself a valid file that changes nothing.
func (r *Registry) Template() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Configuration of a Stele %s.\n#\n", r.title)
	b.WriteString("# One `key = value` on a line; a line that starts with # is a comment. Every item is listed with its default.\n")
	b.WriteString("# Relative paths count from the folder of this file. Unknown keys are refused at start.\n")
	b.WriteString("# Generated from the declarations in conf/ by `make gen`.\n")
	for _, g := range r.groups {
		fmt.Fprintf(&b, "\n## %s\n", g.Title)
		for _, s := range g.specs {
			b.WriteString("\n")
			for _, line := range wrap(s.Doc, 110) {
				fmt.Fprintf(&b, "# %s\n", line)
			}
			if notes := s.notes(); notes != "" {
				fmt.Fprintf(&b, "# (%s)\n", notes)
			}
			fmt.Fprintf(&b, "#%s\n", strings.TrimRight(s.Key+" = "+s.Default, " "))
		}
	}
	return []byte(b.String())
}

// notes lists what the template says about an item beside its documentation.
func (s *Spec) notes() string {
	var parts []string
	if s.Bounds != "" {
		parts = append(parts, s.Bounds)
	}
	if s.Mutable {
		parts = append(parts, "changes at runtime")
	}
	if s.Scope == ScopeCluster {
		parts = append(parts, "the same on every FE")
	}
	if len(s.Aliases) > 0 {
		parts = append(parts, "also "+strings.Join(s.Aliases, ", "))
	}
	return strings.Join(parts, "; ")
}

// Manual returns the reference of all items of both registries in Markdown.
func Manual() []byte {
	var b strings.Builder
	b.WriteString("# Configuration\n\nGenerated from the declarations in `conf/` by `make gen`.\n\n")
	b.WriteString("A frontend reads `fe.conf`, a backend `be.conf`. A value comes from the default, the file, or " +
		"`ADMIN SET FRONTEND CONFIG (\"key\" = \"value\")` for items that are mutable. Times are whole numbers in the unit " +
		"at the end of the name; sizes are bytes, and a file may write `64M` or `2G`.\n")
	for _, r := range []*Registry{FE, BE} {
		fmt.Fprintf(&b, "\n## %s.conf: %s\n", r.name, r.title)
		for _, g := range r.groups {
			fmt.Fprintf(&b, "\n### %s\n\n", g.Title)
			b.WriteString("| item | type | default | bounds | mutable | scope | meaning |\n|---|---|---|---|---|---|---|\n")
			for _, s := range g.specs {
				b.WriteString(s.manualRow())
			}
		}
	}
	return []byte(b.String())
}

func (s *Spec) manualRow() string {
	name := "`" + s.Key + "`"
	for _, alias := range s.Aliases {
		name += "<br>also `" + alias + "`"
	}
	kind := string(s.Type)
	if s.Unit != "" {
		kind += ", " + s.Unit
	}
	def := ""
	if s.Default != "" {
		def = "`" + s.Default + "`"
	}
	mutable := "no"
	if s.Mutable {
		mutable = "yes"
	}
	cells := []string{name, kind, def, s.Bounds, mutable, s.Scope.String(), strings.ReplaceAll(s.Doc, "|", `\|`)}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

// wrap breaks a text into lines of at most width bytes where it has blanks.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
