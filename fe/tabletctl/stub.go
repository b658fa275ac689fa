package tabletctl
import ("context";"log/slog";"stele/fe/cluster")
type Options struct{ Log any; Cluster *cluster.Cluster; Clients any; Settings any; AutoFailover func() bool; Logger *slog.Logger}
type Controller struct{}
func New(Options) *Controller { return &Controller{} }
func (c *Controller) Notify(cluster.Event) {}
func (c *Controller) Run(ctx context.Context) { <-ctx.Done() }
