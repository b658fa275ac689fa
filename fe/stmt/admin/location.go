package admin

import (
	"context"
	"net"
	"strconv"
	"strings"

	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/sql/syntax"
)

// locationLabel is the one property of a BE that can be set.
const locationLabel = "labels.location"

var _ = stmt.Register(stmt.Statement{
	Name:   "alter_system_modify_backend",
	Syntax: "ALTER SYSTEM MODIFY BACKEND {<host:hostport>|<text:string>} SET <props:props>",
	Doc: "Say where a BE stands: \"labels.location\" = \"key:value\", such as rack:r1 or zone:a; an empty value takes it back. No two replicas of a tablet " +
		"stay in one location as long as others have room. What lies together now is moved apart (LOCATION_MISMATCH). A BE without a location counts " +
		"as one of its own for each host.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		hp := a.HostPort("host")
		if !a.Has("host") {
			var err error
			if hp, err = stmt.ParseAddress(a.String("text")); err != nil {
				return stmt.Result{}, err
			}
		}
		be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
		if !ok {
			return stmt.Result{}, stmt.Refusal("backend does not exists[%s]", net.JoinHostPort(hp.Host, strconv.Itoa(int(hp.Port))))
		}
		location, err := locationOf(a.Props("props"))
		if err != nil {
			return stmt.Result{}, err
		}
		if be.Location == location {
			return stmt.Nothing("the backend has that location already"), nil
		}
		cmd := &command.SetBELocation{BE: be.ID, Location: location}
		return stmt.Result{Affected: 1}, stmt.Act(ctx, e, "alter_system_modify_backend", stmt.HostList([]*catalog.BE{be})+" "+location, cmd)
	},
	Examples: []string{`ALTER SYSTEM MODIFY BACKEND "10.0.0.1:9060" SET ("labels.location" = "rack:r1")`},
})

// locationOf reads the properties of the statement.
func locationOf(props []syntax.Prop) (string, error) {
	location, given := "", false
	for _, p := range props {
		if !strings.EqualFold(p.Key, locationLabel) {
			return "", stmt.Refusal("Unsupported properties: %s; \"%s\" can be set", p.Key, locationLabel)
		}
		location, given = strings.ReplaceAll(p.Value, " ", ""), true
	}
	if !given {
		return "", stmt.Refusal("missing property \"%s\"", locationLabel)
	}
	if catalog.CheckLocation(location) != nil {
		return "", stmt.Refusal("Invalid location label: %s; it is key:value of letters, digits, '_', '-' and '.'", location)
	}
	return location, nil
}
