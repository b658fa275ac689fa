package raftlog

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"

	"stele/meta/catalog"
	"stele/meta/command"
	"stele/meta/types"
)

// Offline is the metadata directory of an FE that is not running, opened to be looked at.
type Offline struct {
	dir      string
	identity Identity
	lock     *os.File
	wal      *logStore
	snaps    *snapshots
}

// SnapshotInfo describes one snapshot of a metadata directory.
type SnapshotInfo struct {
	ID          string
	Index, Term uint64
	Bytes       int64
	Members     []Server
}

// OpenOffline opens the metadata directory of an FE. It fails while an FE runs on it.
func OpenOffline(dir string) (*Offline, error) {
	o := &Offline{dir: dir}
	if err := o.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("open metadata directory %s: %w", dir, err), o.Close())
	}
	return o, nil
}

func (o *Offline) open() error {
	id, ok, err := ReadIdentity(o.dir)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("it has no " + identityFile + ": no frontend has used it")
	}
	o.identity = id
	if o.lock, err = lockDir(o.dir); err != nil {
		return err
	}
	quiet := slog.New(slog.DiscardHandler)
	if o.wal, err = openLogStore(filepath.Join(o.dir, "log"), wal.DefaultSegmentSize, quiet); err != nil {
		return fmt.Errorf("%w: %w (remedy: %s)", ErrLogUnusable, err, Remedy)
	}
	o.snaps, err = openSnapshots(o.dir, newHclog(quiet, "raft"))
	return err
}

// Close ends the look.
func (o *Offline) Close() error {
	var errs []error
	if o.wal != nil {
		errs = append(errs, o.wal.Close())
	}
	if o.lock != nil {
		errs = append(errs, o.lock.Close())
	}
	return errors.Join(errs...)
}

// Identity says to which FE of which cluster the directory belongs.
func (o *Offline) Identity() Identity { return o.identity }

// Snapshots lists the snapshots, the newest first.
func (o *Offline) Snapshots() ([]SnapshotInfo, error) {
	metas, err := o.snaps.all()
	if err != nil {
		return nil, err
	}
	var out []SnapshotInfo
	for _, m := range metas {
		out = append(out, SnapshotInfo{ID: m.ID, Index: m.Index, Term: m.Term, Bytes: m.Size, Members: members(m.Configuration)})
	}
	return out, nil
}

func members(c raft.Configuration) []Server {
	var out []Server
	for _, s := range c.Servers {
		out = append(out, Server{ID: string(s.ID), Addr: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	return out
}

// LogBounds returns the first and last index of the log, 0 and 0 when it is empty.
func (o *Offline) LogBounds() (first, last uint64, err error) {
	first, err = o.wal.FirstIndex()
	if err != nil {
		return 0, 0, err
	}
	last, err = o.wal.LastIndex()
	return first, last, err
}

// ReadSnapshot reads one snapshot and proves its checksums.
func (o *Offline) ReadSnapshot(id string) (*catalog.Catalog, error) {
	meta, r, err := o.snaps.Open(id) // compares the checksum in meta.json
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	defer r.Close()
	c, err := catalog.ReadSnapshot(r)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", id, err)
	}
	return c.WithIndex(max(c.Index(), meta.Index)), nil
}

// Catalog returns the catalog of the newest snapshot with the whole log behind it applied, and the members of the
// group by then. The last entries may never have been committed if the FE was not the only voter: only the others know.
func (o *Offline) Catalog() (*catalog.Catalog, []Server, error) {
	snaps, err := o.Snapshots()
	if err != nil {
		return nil, nil, err
	}
	c, group := catalog.New(), []Server(nil)
	if len(snaps) > 0 {
		if c, err = o.ReadSnapshot(snaps[0].ID); err != nil {
			return nil, nil, err
		}
		group = snaps[0].Members
	}
	first, last, err := o.LogBounds()
	if err != nil {
		return nil, nil, err
	}
	if first > c.Index()+1 {
		return nil, nil, fmt.Errorf("entries %d to %d are missing between the snapshot and the log: %w", c.Index()+1, first-1, ErrLogUnusable)
	}
	for i := max(first, c.Index()+1); i <= last && i > 0; i++ {
		var l raft.Log
		if err := o.wal.GetLog(i, &l); err != nil {
			return nil, nil, fmt.Errorf("read log entry %d: %w", i, err)
		}
		switch l.Type {
		case raft.LogCommand:
			cmd, err := command.Decode(l.Data)
			if err != nil {
				return nil, nil, fmt.Errorf("log entry %d: %w", i, err)
			}
			c, _ = applyOne(c, cmd)
		case raft.LogConfiguration:
			group = members(raft.DecodeConfiguration(l.Data))
		}
		c = c.WithIndex(i)
	}
	return c, group, nil
}

// RestoreConfig says what Restore makes of a backup.
type RestoreConfig struct {
	Dir  string // without an identity: no frontend has used it
	Name string // FE.Name of the frontend of the backup that this directory becomes
	Addr string // where it will listen for the others
	Now  time.Time
}

// Restore makes the metadata directory of the first FE of a cluster from a backup (catalog.WriteSnapshot): the FE is the
// only one of the group, the others of the backup are forgotten, and the catalog hears all BEs before it commits
// (command.RestoreMetadata). An FE of the old group that still runs must never meet it: it would follow this one.
//
// The identity is written last; a crash before leaves a directory that neither an FE nor Restore takes.
func Restore(cfg RestoreConfig, backup io.Reader) (types.ClusterID, error) {
	c, err := catalog.ReadSnapshot(backup)
	if err != nil {
		return "", fmt.Errorf("read backup: %w", err)
	}
	fe, ok := c.FEByName(cfg.Name)
	if !ok {
		return "", fmt.Errorf("the backup knows no frontend %q", cfg.Name)
	}
	host, port, err := splitAddress(cfg.Addr)
	if err != nil {
		return "", err
	}
	if c, _, err = catalog.Apply(c, &command.RestoreMetadata{KeepFE: fe.ID, TimeMs: cfg.Now.UnixMilli(), Host: host, RaftPort: port}); err != nil {
		return "", err
	}
	if entries, err := os.ReadDir(cfg.Dir); err == nil && len(entries) > 0 {
		return "", fmt.Errorf("directory %s is not empty", cfg.Dir)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	term := c.Leader().Term + 1
	if err := seedTerm(cfg.Dir, term); err != nil {
		return "", err
	}
	if err := seedSnapshot(cfg, c.WithIndex(c.Index()+1), term); err != nil {
		return "", err
	}
	return c.ClusterID(), writeIdentity(cfg.Dir, Identity{ClusterID: c.ClusterID(), ID: cfg.Name, Used: true})
}

// splitAddress reads where an FE listens for others.
func splitAddress(address string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("address %q is not HOST:PORT", address)
	}
	return host, port, nil
}

// seedTerm makes the log of an FE that has seen every term up to this one, so that BEs take its word.
func seedTerm(dir string, term uint64) error {
	logDir := filepath.Join(dir, "log")
	w, err := openLogStore(logDir, wal.DefaultSegmentSize, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	return errors.Join(w.SetUint64([]byte("CurrentTerm"), term), w.Close())
}

func seedSnapshot(cfg RestoreConfig, c *catalog.Catalog, term uint64) error {
	files, err := openSnapshots(cfg.Dir, newHclog(slog.New(slog.DiscardHandler), "raft"))
	if err != nil {
		return err
	}
	_, transport := raft.NewInmemTransport(raft.ServerAddress(cfg.Addr)) // the store only asks it to spell addresses
	group := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(cfg.Name), Address: raft.ServerAddress(cfg.Addr)}}}
	sink, err := files.Create(raft.SnapshotVersionMax, c.Index(), term, group, c.Index(), transport)
	if err != nil {
		return err
	}
	return snapshot{c}.Persist(sink)
}
