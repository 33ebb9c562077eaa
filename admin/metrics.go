package admin

import (
	"math"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/xaproxy/xaproxy/metric"
)

// metrics answers /metrics. At most two are made at a time.
func metrics(source Source) http.Handler {
	r := prometheus.NewPedanticRegistry()
	r.MustRegister(collector{source}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 2})
}

// collector makes metrics of what its source tells, when somebody asks.
type collector struct{ source Source }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("xaproxy_"+name, help, labels, nil)
}

// The names and units are by the conventions of Prometheus. Each is in docs/operating.md's table of alerts, or on the dashboard, or both.
var (
	buildInfo    = desc("build_info", "The version of xaproxy; always 1.", "version")
	isReady      = desc("ready", "Whether /readyz says ready, with one backend up at least.")
	clients      = desc("clients", "Clients that are connected.")
	accepted     = desc("client_connections_total", "Clients that have connected.")
	clientBytes  = desc("client_bytes_total", "Bytes from and to clients, inside of TLS and compression.", "direction")
	statements   = desc("statements_total", "Statements that were planned and answered, by what they begin with and how they were carried out.", "kind", "plan")
	durations    = desc("statement_duration_seconds", "How long statements took, from the whole of the statement to the whole of the answer.", "kind")
	refused      = desc("statements_refused_total", "Statements, and other commands, that were refused before they reached a backend.", "reason")
	failed       = desc("errors_total", "Errors that clients were told, by the proxy or a backend, and clients that were lost.", "side")
	transactions = desc("transactions_total", "Transactions on backends that have ended.", "outcome", "branches")
	phases       = desc("transaction_phase_duration_seconds", "How long the phases of the end of a transaction took.", "phase")
	inFlight     = desc("transactions_in_flight", "Transactions that have a branch on a backend and have not ended.")
	unfinished   = desc("decisions_unfinished", "Decisions to commit of which branches may be left, those of transactions in flight included.")
	heuristics   = desc("heuristic_outcomes", "Branches ever found finished against their decision, or finished by hand.")
	cache        = desc("plan_cache_lookups_total", "Looks into the plan cache; they begin anew with a configuration.", "result")
	shapes       = desc("plan_cache_shapes", "Shapes of statements in the plan cache.")
	syncs        = desc("decision_log_sync_duration_seconds", "How long the decision log took to become durable.")
	records      = desc("decision_log_records_total", "Records that became durable; divided by the syncs it is the size of a batch.")
	certificate  = desc("certificate_expiry_timestamp_seconds", "When the certificate in a file ends.", "file")

	up           = desc("backend_up", "Whether a backend is usable.", "backend")
	looked       = desc("backend_last_look_seconds", "How long ago recovery has looked at a backend.", "backend")
	prepared     = desc("backend_prepared_branches", "Prepared branches of this xaproxy, and of others on the same backends with the participant store, those of transactions in flight included.", "backend")
	inDoubt      = desc("backend_in_doubt_branches", "Prepared branches that no transaction works on.", "backend")
	oldest       = desc("backend_in_doubt_oldest_age_seconds", "The age of the oldest of them.", "backend")
	poolSize     = desc("pool_size", "Connections to a backend that there may be.", "backend")
	poolConns    = desc("pool_connections", "Connections to a backend.", "backend", "state")
	poolWaiting  = desc("pool_waiting", "Statements that wait for a connection.", "backend")
	poolWaits    = desc("pool_waits_total", "Statements that have waited for a connection.", "backend")
	poolTimeouts = desc("pool_wait_timeouts_total", "Statements that have waited in vain.", "backend")
	poolQueue    = desc("pool_wait_seconds_total", "How long they have waited, together.", "backend")
	dials        = desc("backend_connections_total", "Connections that were opened, could not be, or were not tried because one before could not be.", "backend", "result")
	backendBytes = desc("backend_bytes_total", "Bytes from and to a backend, inside of TLS, of connections that have come back to the pool.", "backend", "direction")
)

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		buildInfo, isReady, clients, accepted, clientBytes, statements, durations, refused, failed, transactions, phases, inFlight, unfinished, heuristics, cache,
		shapes, syncs, records, certificate, up, looked, prepared, inDoubt, oldest, poolSize, poolConns, poolWaiting, poolWaits, poolTimeouts, poolQueue, dials, backendBytes,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	s, backends := c.source.Snapshot(), c.source.Backends()
	gauge(buildInfo, 1, s.Version)
	gauge(isReady, truth(readiness(c.source.Stopping(), backends, false)))
	gauge(clients, float64(s.Clients))
	count(accepted, s.Accepted)
	count(clientBytes, s.Received, "received")
	count(clientBytes, s.Sent, "sent")
	for _, one := range s.Statements {
		count(statements, one.Count, one.Kind, one.Plan)
	}
	for kind, d := range s.Durations {
		to <- histogram{durations, d, []string{kind}}
	}
	for reason, n := range s.Refused {
		count(refused, n, reason)
	}
	for side, n := range s.Errors {
		count(failed, n, side)
	}
	for _, one := range s.Transactions {
		count(transactions, one.Count, one.Outcome, one.Branches)
	}
	for phase, d := range s.Phases {
		to <- histogram{phases, d, []string{phase}}
	}
	gauge(inFlight, float64(s.InFlight))
	gauge(unfinished, float64(s.Unfinished))
	gauge(heuristics, float64(s.Heuristics))
	count(cache, s.CacheHits, "hit")
	count(cache, s.CacheMisses, "miss")
	gauge(shapes, float64(s.CachedShapes))
	if s.Syncs != nil {
		to <- histogram{syncs, s.Syncs, nil}
		count(records, s.SyncedRecords)
	}
	for file, ends := range s.Certificates {
		gauge(certificate, float64(ends.Unix()), file)
	}
	for _, b := range backends {
		gauge(up, truth(b.Down == ""), b.Name)
		gauge(looked, b.Looked.Seconds(), b.Name)
		gauge(prepared, float64(b.Prepared), b.Name)
		gauge(inDoubt, float64(b.InDoubt), b.Name)
		gauge(oldest, b.Oldest.Seconds(), b.Name)
		gauge(poolSize, float64(b.Size), b.Name)
		gauge(poolConns, float64(b.Idle), b.Name, "idle")
		gauge(poolConns, float64(b.Open-b.Idle), b.Name, "used")
		gauge(poolWaiting, float64(b.Waiting), b.Name)
		count(poolWaits, b.Waited, b.Name)
		count(poolTimeouts, b.TimedOut, b.Name)
		to <- prometheus.MustNewConstMetric(poolQueue, prometheus.CounterValue, b.InQueue.Seconds(), b.Name)
		count(dials, b.Dialled, b.Name, "opened")
		count(dials, b.Rejected, b.Name, "rejected")
		count(dials, b.Failed, b.Name, "failed")
		count(backendBytes, b.Received, b.Name, "received")
		count(backendBytes, b.Sent, b.Name, "sent")
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// histogram is a native histogram with the buckets of an ordinary one beside it, for a Prometheus that does not know native ones.
type histogram struct {
	desc   *prometheus.Desc
	d      *metric.Durations
	labels []string
}

// Desc implements prometheus.Metric.
func (h histogram) Desc() *prometheus.Desc { return h.desc }

// ordinary is how many native buckets are one of the ordinary ones, whose bounds are powers of four.
const ordinary = 2 << metric.Schema

// Write implements prometheus.Metric.
func (h histogram) Write(m *dto.Metric) error {
	buckets, zero := make(map[int]int64), time.Time{}
	for i, n := range h.d.Buckets {
		if n > 0 {
			buckets[metric.First+i] = int64(n)
		}
	}
	native, err := prometheus.NewConstNativeHistogram(h.desc, h.d.Count(), h.d.Sum.Seconds(), buckets, nil, 0, metric.Schema, 0, zero, h.labels...)
	if err != nil {
		return err
	}
	if err := native.Write(m); err != nil {
		return err
	}
	below := uint64(0)
	for i, n := range h.d.Buckets {
		below += n
		if at := metric.First + i; at%ordinary == 0 {
			bound, so := math.Exp2(float64(at)/(1<<metric.Schema)), below
			m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{UpperBound: &bound, CumulativeCount: &so})
		}
	}
	m.Histogram.CreatedTimestamp = nil
	return nil
}
