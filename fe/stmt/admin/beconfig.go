package admin

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"stele/conf"
	"stele/fe/cluster"
	"stele/fe/stmt"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/proto/bepb"
	"stele/sql/syntax"
)

// askTimeout bounds asking a BE for what a statement shows.
const askTimeout = 5 * time.Second

// SetBackendConfig changes an item of be.conf on all BEs, those that are away included: the catalog keeps it, and every
// heartbeat tells. "DEFAULT" takes it back.
func SetBackendConfig(ctx context.Context, e *stmt.Env, key, value string) (stmt.Result, error) {
	spec, ok := conf.BE.Lookup(key)
	if !ok || !spec.Mutable {
		return stmt.Result{}, noSuchConfig(conf.BE, key)
	}
	cmd := &command.SetConfig{Key: cluster.BEConfigPrefix + spec.Key, Value: value}
	if strings.EqualFold(value, "DEFAULT") {
		if _, set := e.Catalog.Config(cmd.Key); !set {
			return stmt.Nothing("every backend follows its own be.conf already"), nil
		}
		cmd.Value, cmd.Unset = "", true
	} else if _, err := conf.BE.Defaults("/").With(spec.Key, value); err != nil {
		return stmt.Result{}, ConfigError(key, err)
	}
	return stmt.Result{Affected: uint64(e.Catalog.BECount())}, stmt.Act(ctx, e, "admin_set_backend_config", spec.Key+" = "+value, cmd)
}

var _ = stmt.Register(stmt.Statement{
	Name: "update_be_configs", Overrides: "UPDATE of a system table, which is an error there",
	Syntax: "UPDATE INFORMATION_SCHEMA . BE_CONFIGS SET VALUE = <value:value> WHERE NAME = <name:string>",
	Doc:    "ADMIN SET BACKEND CONFIG in the words of StarRocks: set an item of be.conf on all BEs.",
	Do: func(ctx context.Context, e *stmt.Env, a syntax.Args) (stmt.Result, error) {
		return SetBackendConfig(ctx, e, a.String("name"), a.String("value"))
	},
	Examples: []string{"UPDATE information_schema.be_configs SET value = 50 WHERE name = 'clone_bandwidth_limit_mb_per_disk'"},
})

var beConfigColumns = stmt.Cols(`
	BE_ID      int  The BE.
	NAME       text Name of the item.
	TYPE       text int, long, double, boolean, String or String[].
	VALUE      text Its value now, NULL when the BE does not answer.
	DEFAULT    text What it is when be.conf does not name it.
	MUTABLE    text Whether ADMIN SET BACKEND CONFIG takes it.
	COMMENT    text What it does and when to change it.
`)

var _ = stmt.RegisterTable(stmt.Table{Database: stmt.SchemaDB, Name: "be_configs",
	Doc: "The configuration of every BE, asked of it now. ADMIN SET BACKEND CONFIG changes the mutable ones.", Columns: beConfigColumns,
	Rows: func(ctx context.Context, e *stmt.Env) ([]stmt.Row, error) { return beConfigRows(ctx, e, ""), nil }})

var _ = stmt.Register(stmt.Statement{
	Name: "admin_show_backend_config", Table: "backend_config",
	Syntax: "ADMIN SHOW BACKEND CONFIG [LIKE <pattern:string>]",
	Doc:    "The configuration of every BE, asked of it now. LIKE looks at aliases, too.", Columns: beConfigColumns,
	Rows: func(ctx context.Context, e *stmt.Env, a syntax.Args) ([]stmt.Row, error) {
		pattern := "%"
		if a.Has("pattern") {
			pattern = a.String("pattern")
		}
		return beConfigRows(ctx, e, pattern), nil
	},
	Examples: []string{"ADMIN SHOW BACKEND CONFIG", "ADMIN SHOW BACKEND CONFIG LIKE 'clone%'"},
})

// beConfigRows asks all BEs at once. One that does not answer has rows without values.
func beConfigRows(ctx context.Context, e *stmt.Env, pattern string) []stmt.Row {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	bes := slices.Collect(e.Catalog.BEs())
	answers := make([]map[string]string, len(bes))
	var wg sync.WaitGroup
	for i, be := range bes {
		wg.Go(func() { answers[i] = askConfig(ctx, e, be) })
	}
	wg.Wait()
	var rows []stmt.Row
	for i, be := range bes {
		for _, s := range conf.BE.All() {
			if pattern != "" && !configMatches(s, pattern) {
				continue
			}
			value := any(nil)
			if v, ok := answers[i][s.Key]; ok {
				value = v
			}
			rows = append(rows, stmt.Row{be.ID, s.Key, string(s.Type), value, s.Default, s.IsMutable(), s.Comment()})
		}
	}
	return rows
}

func askConfig(ctx context.Context, e *stmt.Env, be *catalog.BE) map[string]string {
	if e.Backend == nil || !e.Alive(be.ID) {
		return nil
	}
	client, err := e.Backend(be.ID)
	if err != nil {
		return nil
	}
	resp, err := client.Config(ctx, &bepb.ConfigRequest{})
	if err != nil {
		return nil
	}
	out := make(map[string]string, len(resp.Items))
	for _, it := range resp.Items {
		out[it.Key] = it.Value
	}
	return out
}
