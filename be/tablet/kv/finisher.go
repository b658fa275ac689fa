package kv

// finisher makes groups durable, one after the other, while the committer gives the values of the next one to the kernel: a group
// takes the disk for about as long as the processor. With a front there is none: who puts groups into Badger is beside the committer
// already, and nobody waits for it.
type finisher struct {
	groups chan placedGroup // from the committer
	ended  chan struct{}    // closed when loop has ended
}

// placedGroup is a group whose large values are in a segment, but not durable there, or that was refused. Without one, reached is closed
// when all that came before is done.
type placedGroup struct {
	group   []*request
	err     error
	reached chan struct{}
}

func newFinisher() *finisher {
	return &finisher{groups: make(chan placedGroup), ended: make(chan struct{})}
}

// loop calls finish for each group until end.
func (f *finisher) loop(finish func(group []*request, err error)) {
	defer close(f.ended)
	for p := range f.groups {
		if p.reached != nil {
			close(p.reached)
			continue
		}
		finish(p.group, p.err)
	}
}

// settle waits until all that the committer has begun is done.
func (f *finisher) settle() {
	if f == nil {
		return
	}
	reached := make(chan struct{})
	f.groups <- placedGroup{reached: reached}
	<-reached
}

// end waits for loop to end.
func (f *finisher) end() {
	if f != nil {
		close(f.groups)
		<-f.ended
	}
}
