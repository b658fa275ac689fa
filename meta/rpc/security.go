package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Security is how nodes of a cluster prove to each other that they belong to it: each holds a certificate of the
// cluster's own CA, and talks to nobody who has none. Names in certificates are not compared with addresses: a node may
// move, and whoever the CA has signed is a member.
type Security struct {
	Server *tls.Config
	Client *tls.Config
}

// LoadSecurity reads PEM files. All empty = nil: clear text.
func LoadSecurity(certFile, keyFile, caFile string) (*Security, error) {
	if certFile == "" && keyFile == "" && caFile == "" {
		return nil, nil
	}
	if certFile == "" || keyFile == "" || caFile == "" {
		return nil, errors.New("tls_cert, tls_key and tls_ca are needed together")
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("tls_cert and tls_key: %w", err)
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("tls_ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls_ca: %s holds no certificate", caFile)
	}
	return newSecurity(pair, roots), nil
}

func newSecurity(pair tls.Certificate, roots *x509.CertPool) *Security {
	return &Security{
		Server: &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
			MinVersion: tls.VersionTLS13},
		Client: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13,
			// The chain is verified below, against the cluster's CA alone; only the comparison of names is left out.
			InsecureSkipVerify: true,
			VerifyConnection:   func(cs tls.ConnectionState) error { return signedBy(cs, roots) }},
	}
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
	return err
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
