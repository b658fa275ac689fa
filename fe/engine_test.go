package fe

import (
	"testing"

	"stele/meta/catalog"
	"stele/meta/model"
)

// TestRescueIsOfThisMachineAndFindsAnAdministrator: root need not be the one.
func TestRescueIsOfThisMachineAndFindsAnAdministrator(t *testing.T) {
	boss := *model.Root()
	boss.Name, boss.Auth = "boss", []byte("*secret")
	locked := *model.Root()
	locked.Locked = true
	accounts := []*catalog.User{{Name: "ann", Host: "%"}, &locked, &boss}
	if a, ok := rescue(accounts, "127.0.0.1"); !ok || a.User != "boss" || a.AuthString != "" {
		t.Errorf("from here: %+v, %v", a, ok)
	}
	if a, ok := rescue(accounts, "10.0.0.1"); ok {
		t.Errorf("from elsewhere: %+v", a)
	}
}
