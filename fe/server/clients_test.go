//go:build clients

package server

import (
	"context"
	"errors"
	"testing"
	"time"

	"stele/tests/clients"
)

// TestRealClientsLogIn logs every installed client stack in, in all the ways that differ on the wire.
func TestRealClientsLogIn(t *testing.T) {
	srv, _, addr := startServer(t, nil)
	users := []struct{ name, password string }{{"root", ""}, {"native", "secret"}, {"sha2", "secret"}}
	for _, s := range clients.Stacks() {
		t.Run(s.Name, func(t *testing.T) {
			for _, u := range users {
				for _, mode := range []clients.Endpoint{{}, {TLS: true}, {Compress: true}} {
					mode.Addr, mode.User, mode.Password, mode.LoginOnly = addr, u.name, u.password, true
					ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
					err := s.Run(ctx, mode)
					cancel()
					if errors.Is(err, clients.ErrMissing) {
						t.Skip(err)
					}
					if err != nil {
						t.Errorf("user %s, tls %v, compressed %v: %v", u.name, mode.TLS, mode.Compress, err)
					}
				}
			}
		})
	}
	if st := srv.Stats(); st.Panics+st.LoginFailures+st.Aborted != 0 || st.TLSLogins != st.Accepted/3 {
		t.Errorf("stats %+v", st)
	}
}
