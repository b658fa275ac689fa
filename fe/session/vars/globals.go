package vars

import (
	"iter"
	"strings"

	"stele/conf"
)

// GlobalPrefix begins the keys under which the catalog keeps what SET GLOBAL has given to system variables, apart from
// configuration items. Their values are what new sessions of all FEs begin with.
const GlobalPrefix = "var:"

// Globals are the values of variables that are not the declared ones: those that this server gives, and over them what SET GLOBAL has
// said, as the catalog keeps it.
func Globals(v *conf.Values, version string, said iter.Seq2[string, string]) map[string]string {
	out := map[string]string{"version": version, "innodb_version": version, "hostname": conf.FEHost.Get(v),
		"interactive_timeout": v.Text(conf.WaitTimeout.Spec)}
	for _, d := range configured {
		out[d.Name] = v.Text(d.Item)
	}
	for key, value := range said {
		name, is := strings.CutPrefix(key, GlobalPrefix)
		if d := variables[name]; !is || d == nil || d.SessionOnly {
			continue // of an FE of another version
		}
		if norm, err := variables[name].Normalise(value); err == nil {
			out[name] = norm
		}
	}
	return out
}

// Named finds a system variable.
func Named(name string) (*Variable, bool) {
	d, ok := variables[name]
	return d, ok
}
