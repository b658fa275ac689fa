package session

import (
	"log/slog"
	"testing"

	"stele/conf"
	"stele/fe/fakecluster"
	"stele/fe/session/vars"
	"stele/meta/command"
	"stele/meta/types"
)

// TestGlobalsThatRace: of two SET GLOBAL of an item at once this FE keeps the one that the log has last, whichever comes back last.
func TestGlobalsThatRace(t *testing.T) {
	c := fakecluster.New(t, 1, 1, types.QuorumAll)
	sh := New(Parts{Log: c.Log, Conf: conf.NewLive(conf.FE.Defaults(t.TempDir())), Logger: slog.New(slog.DiscardHandler)})
	later := false
	sh.Conf.OnChange(func(_, now *conf.Values) {
		if conf.WaitTimeout.Get(now).Seconds() == 600 && !later {
			later = true
			c.Log.Must(t, &command.SetConfig{Key: conf.WaitTimeout.Key, Value: "700"})
		}
	})
	d, _ := vars.Named("wait_timeout")
	if err := sh.changeGlobal(t.Context(), d, &command.SetConfig{Key: vars.GlobalPrefix + d.Name, Value: "600"}); err != nil {
		t.Fatal(err)
	}
	if got := conf.WaitTimeout.Get(sh.Conf.Load()).Seconds(); !later || got != 700 {
		t.Errorf("this frontend has %v s, the cluster 700", got)
	}
}
