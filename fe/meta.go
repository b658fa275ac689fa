package fe

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"stele/conf"
	"stele/fe/beclient"
	"stele/fe/server"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/types"
)

// leaderWait bounds how long a start waits for the metadata to be led.
const leaderWait = 60 * time.Second

// openMeta opens the metadata log, on a blank directory as a new cluster if the configuration says so, and takes over
// the configuration that the cluster has set.
func (n *node) openMeta(ctx context.Context) error {
	v := n.live.Load()
	dir := conf.MetaDir.Get(v)
	id, known, err := raftlog.ReadIdentity(dir)
	if err != nil {
		return err
	}
	timings := raftlog.DefaultTimings()
	timings.Heartbeat, timings.Election = conf.RaftHeartbeatTimeout.Get(v), conf.RaftElectionTimeout.Get(v)
	timings.LeaderLease = conf.RaftLeaderLease.Get(v)
	cfg := raftlog.Config{Dir: dir, ClusterID: id.ClusterID, ID: id.ID, Log: n.log, Timings: timings,
		SnapshotInterval: conf.RaftSnapshotInterval.Get(v), SnapshotThreshold: uint64(conf.RaftSnapshotThreshold.Get(v)),
		TrailingLogs: uint64(conf.RaftTrailingLogs.Get(v))}
	if !known {
		if !conf.Bootstrap.Get(v) {
			return fmt.Errorf("meta_dir %s is empty and bootstrap is false: set bootstrap = true on the first FE of a new cluster, "+
				"or bring back the meta_dir of the old one", dir)
		}
		boot := n.newCluster(v)
		cfg.Bootstrap, cfg.ClusterID, cfg.ID = boot, boot.ClusterID, boot.FE.Name
	}
	n.name = cfg.ID
	cfg.Advertise = beclient.Address(conf.FEHost.Get(v), conf.EditLogPort.Get(v))
	if cfg.Listener, err = net.Listen("tcp", cfg.Advertise); err != nil {
		return fmt.Errorf("listen for raft: %w", err)
	}
	if n.meta, err = raftlog.Open(cfg); err != nil {
		return err
	}
	wctx, cancel := context.WithTimeout(ctx, leaderWait)
	defer cancel()
	if err := n.meta.WaitLeader(wctx); err != nil {
		return fmt.Errorf("wait for the metadata to be led: %w", err)
	}
	n.id = metarpc.NewCluster(cfg.ClusterID)
	return n.takeConfig(n.meta.Current())
}

// newCluster draws the id of a new cluster and describes this FE as its first.
func (n *node) newCluster(v *conf.Values) *command.InitCluster {
	var id [16]byte
	rand.Read(id[:])
	host, port := conf.FEHost.Get(v), conf.EditLogPort.Get(v)
	return &command.InitCluster{ClusterID: types.ClusterID(hex.EncodeToString(id[:])), TimeMs: n.started.UnixMilli(),
		FE: catalog.FE{Name: fmt.Sprintf("%s_%d_%d", host, port, n.started.UnixMilli()), Host: host, RaftPort: port,
			QueryPort: conf.QueryPort.Get(v), HTTPPort: conf.FEHTTPPort.Get(v), RPCPort: conf.FERPCPort.Get(v),
			GossipPort: conf.FEGossipPort.Get(v), AddedMs: n.started.UnixMilli()}}
}

// takeConfig applies the items that the cluster has set over those of the file.
func (n *node) takeConfig(cat *catalog.Catalog) error {
	var errs []error
	for key, value := range cat.ConfigAll() {
		if _, err := n.live.Set(key, value); err != nil {
			errs = append(errs, fmt.Errorf("cluster configuration: %w", err))
		}
	}
	return errors.Join(errs...)
}

// certificate is what MySQL clients are shown: the configured one, or a self-signed one made at the first start.
func (n *node) certificate() (*tls.Config, *rsa.PrivateKey, error) {
	v := n.live.Load()
	if conf.MySQLTLSCert.Get(v) == "" {
		return server.EnsureCertificate(filepath.Join(conf.MetaDir.Get(v), "tls"), []string{conf.FEHost.Get(v), "localhost"}, n.started)
	}
	certPEM, err := os.ReadFile(conf.MySQLTLSCert.Get(v))
	if err != nil {
		return nil, nil, fmt.Errorf("mysql_tls_cert: %w", err)
	}
	keyPEM, err := os.ReadFile(conf.MySQLTLSKey.Get(v))
	if err != nil {
		return nil, nil, fmt.Errorf("mysql_tls_key: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, nil, fmt.Errorf("mysql_tls_cert and mysql_tls_key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, rsaKey(keyPEM), nil
}

// rsaKey returns the key if it is RSA: caching_sha2_password without TLS needs one, and goes without otherwise.
func rsaKey(keyPEM []byte) *rsa.PrivateKey {
	block, _ := pem.Decode(keyPEM)
	if block == nil {
		return nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if r, ok := k.(*rsa.PrivateKey); ok {
			return r
		}
	}
	return nil
}

// housekeeping expires what has had its time.
func (n *node) housekeeping(ctx context.Context) {
	tick := time.NewTicker(housekeepingInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			ms := now.UnixMilli()
			_, err := n.meta.Propose(ctx, &command.ExpireHints{NowMs: ms},
				&command.ExpireTxns{NowMs: ms, TimeoutMs: txnTimeout.Milliseconds(), KeepMs: outcomeKeep.Milliseconds()})
			if err != nil && ctx.Err() == nil {
				n.log.Warn("housekeeping", "err", err)
			}
		}
	}
}

const (
	housekeepingInterval = 30 * time.Second
	// txnTimeout bounds an open transaction: after it, it cannot commit any more.
	txnTimeout = time.Hour
	// outcomeKeep is how long outcomes are kept that no replica can ask for by what it has reported.
	outcomeKeep = time.Hour
)
