package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Security is how nodes of a cluster prove to each other that they belong to it: each holds a certificate of the
// cluster's own CA, and talks to nobody who has none. Names in certificates are not compared with addresses: a node may
// move, and whoever the CA has signed is a member.
type Security struct {
	Server *tls.Config
	Client *tls.Config
}

// LoadSecurity reads PEM files. All empty = nil: clear text. The files are read again when they change, so that certificates
// and the CA are replaced without a restart: tls_ca may hold the old and the new one meanwhile.
func LoadSecurity(certFile, keyFile, caFile string) (*Security, error) {
	return loadSecurity(certFile, keyFile, caFile, time.Now)
}

func loadSecurity(certFile, keyFile, caFile string, clock func() time.Time) (*Security, error) {
	if certFile == "" && keyFile == "" && caFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" || caFile == "" {
		return nil, errors.New("tls_cert, tls_key and tls_ca are needed together")
	}
	k := &keys{files: [3]string{certFile, keyFile, caFile}, clock: clock}
	if err := k.load(); err != nil {
		return nil, err
	}
	verify := func(cs tls.ConnectionState) error { return signedBy(cs, k.current().roots) }
	return &Security{
		Server: &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13, VerifyConnection: verify,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &k.current().pair, nil }},
		Client: &tls.Config{MinVersion: tls.VersionTLS13, VerifyConnection: verify,
			// The chain is verified above, against the cluster's CA alone; only the comparison of names is left out.
			InsecureSkipVerify:   true,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &k.current().pair, nil }},
	}, nil
}

// keysChecked is how often at most the files are looked at for changes.
const keysChecked = time.Second

// keys holds the certificate and the CA as the files have them.
type keys struct {
	files [3]string // certificate, key, CA
	clock func() time.Time

	mu      sync.Mutex
	checked time.Time
	stamp   string // sizes and times of the files when they were read
	now     *keyring
}

type keyring struct {
	pair  tls.Certificate
	roots *x509.CertPool
}

// current returns what is in force. Files that have changed and cannot be read leave it as it was, and the log says so.
func (k *keys) current() *keyring {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.clock(); now.Sub(k.checked) >= keysChecked {
		k.checked = now
		if k.stamp != k.stampOf() {
			if err := k.load(); err != nil {
				slog.Error("certificates have changed and cannot be used: the old ones stay in force", "err", err)
			} else {
				slog.Info("certificates were read again", "tls_cert", k.files[0], "tls_ca", k.files[2])
			}
		}
	}
	return k.now
}

func (k *keys) stampOf() string {
	var text string
	for _, f := range k.files {
		if info, err := os.Stat(f); err == nil {
			text += fmt.Sprint(info.Size(), info.ModTime().UnixNano(), ";")
		}
	}
	return text
}

func (k *keys) load() error {
	k.stamp = k.stampOf() // first: a change while they are read is seen the next time
	pair, err := tls.LoadX509KeyPair(k.files[0], k.files[1])
	if err != nil {
		return fmt.Errorf("tls_cert and tls_key: %w", err)
	}
	pem, err := os.ReadFile(k.files[2])
	if err != nil {
		return fmt.Errorf("tls_ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("tls_ca: %s holds no certificate", k.files[2])
	}
	k.now = &keyring{pair, roots}
	return nil
}

func signedBy(cs tls.ConnectionState, roots *x509.CertPool) error {
	if len(cs.PeerCertificates) == 0 {
		return errors.New("the peer has shown no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return fmt.Errorf("the peer's certificate is not signed by tls_ca: %w", err)
	}
	return nil
}

// ServerTLS returns the configuration of a listening side, nil = clear text.
func (s *Security) ServerTLS() *tls.Config {
	if s == nil {
		return nil
	}
	return s.Server
}

// ClientTLS returns the configuration of a dialing side, nil = clear text.
func (s *Security) ClientTLS() *tls.Config {
	if s == nil {
		return nil
	}
	return s.Client
}
