package server

import (
	"fmt"
	"time"
)

func (s *Server) infoPersistence(t *infoText) {
	start, done, total, loading := s.keeper.Loading()
	st := s.keeper.State()
	p, running, taking := s.keeper.Taking()
	log, failed, logging := s.keeper.Log()
	t.field("loading", flag(loading))
	t.zero("async_loading")
	t.field("current_cow_peak", p.Kept)
	t.field("current_cow_size", p.Kept)
	t.zero("current_cow_size_age")
	t.field("current_fork_perc", fmt.Sprintf("%.2f", 100*float64(p.Told)/float64(max(p.Keys, 1))))
	t.field("current_save_keys_processed", p.Told)
	t.field("current_save_keys_total", p.Keys)
	t.field("rdb_changes_since_last_save", s.router.Counters().Changes.Load()-st.Changes)
	t.field("rdb_bgsave_in_progress", flag(taking))
	t.field("rdb_last_save_time", st.LastSave.Unix())
	t.field("rdb_last_bgsave_status", status(!st.LastFailed))
	t.field("rdb_last_bgsave_time_sec", seconds(st.LastTook))
	current := time.Duration(-1)
	if taking {
		current = running
	}
	t.field("rdb_current_bgsave_time_sec", seconds(current))
	t.field("rdb_saves", st.Saves)
	t.zero("rdb_last_cow_size", "rdb_last_load_keys_expired", "rdb_last_load_keys_loaded")
	t.field("aof_enabled", flag(logging))
	t.field("aof_rewrite_in_progress", flag(taking && logging))
	t.field("aof_rewrite_scheduled", flag(s.keeper.Saving() && !taking))
	t.field("aof_last_rewrite_time_sec", seconds(st.LastTook))
	t.field("aof_current_rewrite_time_sec", seconds(current))
	t.field("aof_last_bgrewrite_status", status(!st.LastFailed))
	t.field("aof_rewrites", st.Saves)
	t.field("aof_rewrites_consecutive_failures", flag(st.LastFailed))
	t.field("aof_last_write_status", status(failed == nil))
	t.zero("aof_last_cow_size", "module_fork_in_progress", "module_fork_last_cow_size")
	t.field("snapshot_bytes", st.SnapshotBytes)
	t.field("snapshot_position", st.SnapshotLSN)
	if logging {
		t.field("aof_current_size", log.DiskBytes)
		t.field("aof_base_size", st.SnapshotBytes)
		t.field("aof_pending_rewrite", flag(s.keeper.Saving() && !taking))
		t.field("aof_buffer_length", log.BufferBytes)
		t.field("aof_pending_bio_fsync", flag(log.Syncing))
		t.zero("aof_delayed_fsync")
		t.field("log_position", log.End)
		t.field("log_durable", log.Durable)
		t.field("log_segments", log.Segments)
		t.field("log_fsyncs", log.Syncs)
		t.field("log_fsync_last_usec", log.SyncLast.Microseconds())
		t.field("log_fsync_max_usec", log.SyncMax.Microseconds())
		t.field("log_fsync_total_usec", log.SyncTime.Microseconds())
		t.field("log_waiting_for_room", log.RoomWaiters)
		t.field("would_lose_bytes", log.End-log.Durable)
		t.field("would_lose_ms", since(log.OldestUnsynced, s.router.Now()))
	}
	if loading {
		t.field("loading_start_time", start)
		t.field("loading_total_bytes", total)
		t.zero("loading_rdb_used_mem")
		t.field("loading_loaded_bytes", done)
		t.field("loading_loaded_perc", fmt.Sprintf("%.2f", 100*float64(done)/float64(max(total, 1))))
		elapsed := float64(time.Now().Unix() - start)
		t.field("loading_eta_seconds", int64(elapsed*float64(total-done)/float64(max(done, 1))))
	}
}

func flag(on bool) int {
	if on {
		return 1
	}
	return 0
}

func status(ok bool) string {
	if ok {
		return "ok"
	}
	return "err"
}

func seconds(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return int64(d / time.Second)
}

// since is how many milliseconds ago something was, 0 if it was not.
func since(at int64, now time.Time) int64 {
	if at == 0 {
		return 0
	}
	return max(now.UnixMilli()-at, 0)
}
