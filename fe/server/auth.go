package server

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // of OAEP, as the protocol has it
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/go-mysql-org/go-mysql/mysql"
	lib "github.com/go-mysql-org/go-mysql/server"

	"stele/sql/errno"
)

const (
	// digestsMax bounds the fast-path cache.
	digestsMax = 10_000
	// passwordMax is the longest password that caching_sha2_password takes, as in MySQL.
	passwordMax = 256
)

// Bytes of the caching_sha2_password dialogue.
const (
	moreData     = 0x01
	sha2FastOK   = 0x03
	sha2FullAuth = 0x04
	sha2WantsKey = 0x02
)

// exchange is the packet dialogue of an authentication: during the login, or under COM_CHANGE_USER.
type exchange interface {
	send(payload []byte) error
	receive() ([]byte, error) // valid until the next call
}

// authenticator checks answers to challenges against stored authentication strings.
type authenticator struct {
	key    *rsa.PrivateKey // nil: no caching_sha2_password on plain connections without the fast path
	pubPEM []byte
	slots  chan struct{} // bounds the full SHA2 checks at a time: anybody can ask for one

	mu      sync.Mutex
	digests map[string][sha256.Size]byte // by stored authentication string, so a new password misses
}

func newAuthenticator(key *rsa.PrivateKey) (*authenticator, error) {
	a := &authenticator{key: key, digests: map[string][sha256.Size]byte{}}
	a.slots = make(chan struct{}, 2*runtime.GOMAXPROCS(0))
	if key == nil {
		return a, nil
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("encode the public key: %w", err)
	}
	a.pubPEM = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return a, nil
}

// challenge is one answer to be verified.
type challenge struct {
	account Account
	salt    []byte
	reply   []byte
	secure  bool // inside TLS
}

// verify reports whether the client knows the account's password. It may continue the dialogue.
func (a *authenticator) verify(ctx context.Context, x exchange, c challenge) (bool, error) {
	if isEmpty(c.reply) || c.account.AuthString == "" {
		return isEmpty(c.reply) && c.account.AuthString == "", nil
	}
	switch c.account.Plugin {
	case PluginNative:
		return checkNative(c.account.AuthString, c.salt, c.reply), nil
	case PluginSHA2:
		return a.verifySHA2(ctx, x, c)
	}
	return false, clientErrorf(errno.PluginNotLoaded, "Plugin '%s' is not loaded", c.account.Plugin)
}

// isEmpty tells an answer without a password; libmysqlclient sends a NUL.
func isEmpty(reply []byte) bool { return len(reply) == 0 || len(reply) == 1 && reply[0] == 0 }

func (a *authenticator) verifySHA2(ctx context.Context, x exchange, c challenge) (bool, error) {
	if d, ok := a.digest(c.account.AuthString); ok && checkSHA2Fast(d, c.salt, c.reply) {
		return true, x.send([]byte{moreData, sha2FastOK})
	}
	if err := x.send([]byte{moreData, sha2FullAuth}); err != nil {
		return false, err
	}
	password, err := a.askPassword(x, c)
	if err != nil || len(password) > passwordMax {
		return false, err
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if !checkSHA2(c.account.AuthString, password) {
		return false, nil
	}
	a.remember(c.account.AuthString, sha2Digest(password))
	return true, nil
}

// askPassword gets the password itself: in the clear inside TLS, else encrypted with our public key.
func (a *authenticator) askPassword(x exchange, c challenge) ([]byte, error) {
	reply, err := x.receive()
	if err != nil {
		return nil, err
	}
	if c.secure {
		return trimNUL(reply), nil
	}
	if a.key == nil {
		return nil, clientErrorf(errno.AccessDenied, "Authentication requires secure connection.")
	}
	if len(reply) == 1 && reply[0] == sha2WantsKey {
		if err := x.send(append([]byte{moreData}, a.pubPEM...)); err != nil {
			return nil, err
		}
		if reply, err = x.receive(); err != nil {
			return nil, err
		}
	}
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, a.key, reply, nil)
	if err != nil {
		return nil, nil // not our key, or garbage: as good as a wrong password
	}
	return trimNUL(mysql.Xor(plain, c.salt)), nil
}

func trimNUL(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == 0 {
		return b[:n-1]
	}
	return b
}

func (a *authenticator) digest(stored string) ([sha256.Size]byte, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d, ok := a.digests[stored]
	return d, ok
}

func (a *authenticator) remember(stored string, d [sha256.Size]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.digests) >= digestsMax {
		clear(a.digests)
	}
	a.digests[stored] = d
}

// newSalt draws a challenge. It has no NUL, which clients take for the end.
func newSalt() []byte {
	salt := make([]byte, saltLen)
	rand.Read(salt) // never fails
	for i, b := range salt {
		salt[i] = b%127 + 1
	}
	return salt
}

// switchPlugin asks the client to answer a new challenge with plugin.
func switchPlugin(x exchange, plugin string, salt []byte) ([]byte, error) {
	b := append([]byte{mysql.EOF_HEADER}, plugin...)
	b = append(append(append(b, 0), salt...), 0)
	if err := x.send(b); err != nil {
		return nil, err
	}
	return x.receive()
}

// denied is the error for a failed login; it does not say why.
func denied(user, host string, withPassword bool) error {
	using := "NO"
	if withPassword {
		using = "YES"
	}
	return clientErrorf(errno.AccessDenied, "Access denied for user '%s'@'%s' (using password: %s)", user, host, using)
}

// admissible checks what of an account is told only to those who know its password.
func admissible(acc Account, user, host string, secure bool) error {
	if acc.Locked {
		return &clientError{code: errno.AccountLocked,
			msg: fmt.Sprintf("Access denied for user '%s'@'%s'. Account is locked.", user, host)}
	}
	if acc.RequireTLS && !secure {
		return &clientError{code: errno.SecureTransportRequired,
			msg: "Connections using insecure transport are prohibited for this account; connect with TLS."}
	}
	return nil
}

// provider verifies logins for the library.
type provider struct{ auth *authenticator }

// Validate implements the library's AuthenticationProvider.
func (p provider) Validate(plugin string) bool { return plugin == PluginNative || plugin == PluginSHA2 }

// Authenticate implements the library's AuthenticationProvider. The library calls it with the plugin of the account.
func (p provider) Authenticate(c *lib.Conn, _ string, reply []byte) error {
	l, ok := c.Conn.Conn.(*loginConn)
	if !ok {
		return errors.New("BUG: login on a foreign connection")
	}
	l.fail = p.authenticate(c, l, l.state, reply)
	return l.fail
}

func (p provider) authenticate(c *lib.Conn, l *loginConn, st *loginState, reply []byte) error {
	user := l.hello.user
	x := libExchange{c}
	// A client that guessed another plugin answers with nothing. Ask again, but never twice in one login: Connector/J
	// 2.7 and go-sql-driver do not survive a second switch.
	if isEmpty(reply) && st.account.AuthString != "" && !l.switched {
		var err error // the new salt is noted as it passes the connection
		if reply, err = switchPlugin(x, st.account.Plugin, newSalt()); err != nil {
			return err
		}
	}
	if !st.found {
		return denied(user, l.host, !isEmpty(reply))
	}
	withPassword := !isEmpty(reply)
	ok, err := p.auth.verify(l.ctx, x, challenge{account: st.account, salt: l.salt, reply: reply, secure: l.secure})
	if err != nil {
		return err
	}
	if !ok {
		return denied(user, l.host, withPassword)
	}
	return admissible(st.account, user, l.host, l.secure)
}

// libExchange is the dialogue over the library's connection.
type libExchange struct{ c *lib.Conn }

func (x libExchange) send(payload []byte) error {
	return x.c.WritePacket(append(make([]byte, 4, 4+len(payload)), payload...))
}

func (x libExchange) receive() ([]byte, error) { return x.c.ReadPacket() }
