package sched

// recallMs is how long after its last failed attempt a tablet's task still counts as the same one.
const recallMs = 3_600_000

// Restore takes in what earlier leaders have done: tasks that have ended, oldest first, and tasks that have failed and were to
// be tried again. These go on with their attempts and pauses if their tablets still need them.
func (s *Scheduler) Restore(ended, tried []Task) {
	for i := range ended {
		s.history.add(ended[i])
	}
	for i := range tried {
		if n := len(tried[i].Attempts); n > 0 {
			s.recalled[tried[i].Tablet] = tried[i]
		}
	}
}

// recall has a new task go on where that of an earlier leader was.
func (s *Scheduler) recall(t *Task) {
	old, ok := s.recalled[t.Tablet]
	if !ok {
		return
	}
	delete(s.recalled, t.Tablet)
	last := old.Attempts[len(old.Attempts)-1]
	if s.in.NowMs-last.AtMs > recallMs || s.in.NowMs < last.AtMs {
		return
	}
	t.Attempts, t.FailedRunning, t.FailedSched, t.CreatedMs = old.Attempts, old.FailedRunning, old.FailedSched, min(old.CreatedMs, t.CreatedMs)
	t.OrigPrio, t.DynmPrio, t.LastAdjPrioMs = max(t.OrigPrio, old.OrigPrio), old.DynmPrio, old.LastAdjPrioMs
	if last.Kind == FailSource || last.Kind == FailStalled {
		t.avoid = last.Src
	}
	if t.State == Pending {
		s.waitFor(t, WaitRetry, last.Reason)
		t.NextMs = last.AtMs + pauseMs(t.FailedRunning)
	}
}

// pauseMs is the pause after so many failures.
func pauseMs(failures int) int64 {
	return min(int64(retryMs)<<min(max(failures-1, 0), 10), retryMaxMs)
}
