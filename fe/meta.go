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
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stele/conf"
	"stele/fe/beclient"
	"stele/fe/cluster"
	"stele/fe/server"
	"stele/fe/session/vars"
	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/raftlog"
	metarpc "stele/meta/rpc"
	"stele/meta/types"
)

// openMeta opens the metadata log. On an empty directory it starts a new cluster if the configuration says so, and
// otherwise waits to be let into one.
func (n *node) openMeta(ctx context.Context) error {
	v := n.live.Load()
	dir := conf.MetaDir.Get(v)
	id, known, err := raftlog.ReadIdentity(dir)
	if err != nil {
		return err
	}
	cfg := n.raftConfig(v)
	switch {
	case known:
	case conf.Bootstrap.Get(v):
		boot := n.newCluster(v)
		cfg.Bootstrap, id.ClusterID, id.ID = boot, boot.ClusterID, boot.FE.Name
	default:
		if id, err = n.join(ctx); err != nil {
			return err
		}
	}
	n.name, cfg.ClusterID, cfg.ID = id.ID, id.ClusterID, id.ID
	cfg.Advertise = beclient.Address(conf.FEHost.Get(v), conf.EditLogPort.Get(v))
	if cfg.Listener, err = net.Listen("tcp", cfg.Advertise); err != nil {
		return fmt.Errorf("listen for raft: %w", err)
	}
	if n.meta, err = raftlog.Open(cfg); err != nil {
		return err
	}
	n.id = metarpc.NewCluster(cfg.ClusterID)
	return nil
}

func (n *node) raftConfig(v *conf.Values) raftlog.Config {
	timings := raftlog.DefaultTimings()
	timings.Heartbeat, timings.Election = conf.RaftHeartbeatTimeout.Get(v), conf.RaftElectionTimeout.Get(v)
	timings.LeaderLease = conf.RaftLeaderLease.Get(v)
	return raftlog.Config{Dir: conf.MetaDir.Get(v), Log: n.log, Timings: timings,
		Refused: n.metOnRaft, Server: n.secure.ServerTLS(), Client: n.secure.ClientTLS(),
		SnapshotInterval: conf.RaftSnapshotInterval.Get(v), SnapshotThreshold: uint64(conf.RaftSnapshotThreshold.Get(v)),
		TrailingLogs: uint64(conf.RaftTrailingLogs.Get(v))}
}

// awaitMeta waits until this FE has all that is committed, then takes over the configuration that the cluster has set
// and says what it is. It waits for as long as it takes: the other FEs may come later.
func (n *node) awaitMeta(ctx context.Context) error {
	var words repeated
	for {
		_, err := n.quorum.ReadIndex(ctx)
		if _, member := n.meta.Current().FEByName(n.name); err == nil && member {
			break
		}
		switch {
		case ctx.Err() != nil:
			return errors.New("stopped while it waited for the metadata")
		case n.meta.Failure() != nil:
			return n.meta.Failure()
		case errors.Is(err, raftlog.ErrDropped), err == nil:
			return fmt.Errorf("%w: %s. To add it again, move meta_dir away and start it with fe_helpers set", ErrDropped, n.name)
		}
		words.say(n, fmt.Sprintf("waits for the metadata: %v. A majority of the voting FEs must run", err))
	}
	if err := n.takeConfig(n.meta.Current()); err != nil {
		return err
	}
	return n.introduce(ctx)
}

// introduce has the catalog know where this FE is reached now.
func (n *node) introduce(ctx context.Context) error {
	v := n.live.Load()
	fe, _ := n.meta.Current().FEByName(n.name)
	set := &command.SetFE{Name: n.name, QueryPort: conf.QueryPort.Get(v), HTTPPort: conf.FEHTTPPort.Get(v),
		RPCPort: conf.FERPCPort.Get(v), GossipPort: conf.FEGossipPort.Get(v)}
	if fe.QueryPort == set.QueryPort && fe.HTTPPort == set.HTTPPort && fe.RPCPort == set.RPCPort && fe.GossipPort == set.GossipPort {
		return nil
	}
	_, err := n.quorum.ProposeOne(ctx, set)
	return err
}

// configPause is how often at most the cluster's configuration is looked at for changes.
const configPause = 50 * time.Millisecond

// followConfig applies what is set for the whole cluster, on whichever FE, until ctx ends. It also notices when the cluster
// has dropped this FE.
func (n *node) followConfig(ctx context.Context) {
	taken := ownConfig(n.meta.Current())
	for {
		changed := n.meta.Changed()
		n.checkMembership()
		now := ownConfig(n.meta.Current())
		if !maps.Equal(now, taken) {
			for key := range taken {
				if _, set := now[key]; !set {
					n.dropConfig(key)
				}
			}
			for key, value := range now {
				if taken[key] == value {
					continue
				}
				if _, err := n.live.Set(key, value); err != nil {
					n.log.Error("configuration of the cluster", "key", key, "value", value, "err", err)
				}
			}
			taken = now
		}
		pause := time.NewTimer(configPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// dropConfig gives an item that the cluster has taken back the value of this FE's own file again.
func (n *node) dropConfig(key string) {
	spec, ok := conf.FE.Lookup(key)
	if !ok {
		return // of another version, which was not taken over either
	}
	if _, err := n.live.Set(key, n.file.Text(spec)); err != nil {
		n.log.Error("configuration of the cluster", "key", key, "err", err)
	}
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

// ownConfig returns the items that the cluster has set for its FEs.
func ownConfig(cat *catalog.Catalog) map[string]string {
	own := maps.Collect(cat.ConfigAll())
	maps.DeleteFunc(own, func(key, _ string) bool {
		return strings.HasPrefix(key, cluster.BEConfigPrefix) || strings.HasPrefix(key, vars.GlobalPrefix)
	})
	return own
}

// takeConfig applies the items that the cluster has set over those of the file.
func (n *node) takeConfig(cat *catalog.Catalog) error {
	var errs []error
	for key, value := range ownConfig(cat) {
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
				&command.ExpireTxns{NowMs: ms, TimeoutMs: txnTimeout.Milliseconds(), KeepMs: outcomeKeep.Milliseconds(), Notes: true})
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
