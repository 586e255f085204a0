// Command push pushes with client_golang: push URL MODE [OPTION=VALUE]...
//
// The modes are protobuf, which is what the client does by itself, and text; and native, which pushes native histograms
// and reads them back by protobuf. The options: user and password. Each line of the output says as JSON what was done;
// tests/it/clients.rs knows what must come of it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// A grouping key: names and values in turn, the job first.
type group []string

var (
	url, mode = os.Args[1], os.Args[2]
	options   = map[string]string{}

	// A slash and nothing go as base64. A space goes as a plus, and stays one, as with Pushgateway.
	keys = []group{
		{"job", "keys/and more", "path", "/var/tmp"},
		{"job", "keys", "empty", "", "name", "with space"},
		{"job", "keys", "city", "Köln"},
	}
)

func main() {
	for _, option := range os.Args[3:] {
		name, value, _ := strings.Cut(option, "=")
		options[name] = value
	}
	run := story
	if mode == "native" {
		run = native
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func story() error {
	if err := merge(group{"job", mode}); err != nil {
		return err
	}
	beRefused()
	for _, key := range keys {
		if err := merge(key); err != nil {
			return err
		}
	}
	gone := group{"job", "gone"}
	if err := merge(gone); err != nil {
		return err
	}
	// The client takes 202 and nothing else for done.
	if err := pusher(gone).Delete(); err != nil {
		return err
	}
	say(map[string]any{"did": "deleted", "group": gone.String()})
	return nil
}

func (g group) String() string {
	pairs := make([]string, 0, len(g)/2)
	for i := 0; i < len(g); i += 2 {
		pairs = append(pairs, g[i]+"="+g[i+1])
	}
	return strings.Join(pairs, ",")
}

func say(line map[string]any) {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		panic(err)
	}
}

func pusher(g group, collectors ...prometheus.Collector) *push.Pusher {
	p := push.New(url, g[1])
	for i := 2; i < len(g); i += 2 {
		p = p.Grouping(g[i], g[i+1])
	}
	for _, collector := range collectors {
		p = p.Collector(collector)
	}
	if mode == "text" {
		p = p.Format(expfmt.NewFormat(expfmt.TypeTextPlain))
	}
	if user, ok := options["user"]; ok {
		p = p.BasicAuth(user, options["password"])
	}
	return p
}

// job is what one short-lived job has to tell.
func job(jobs, last float64, seconds []float64, size float64) []prometheus.Collector {
	done := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "client_jobs_total", Help: "Jobs."}, []string{"kind"})
	done.WithLabelValues("full").Add(jobs)
	newest := prometheus.NewGauge(prometheus.GaugeOpts{Name: "client_last", Help: "The newest."})
	newest.Set(last)
	durations := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "client_seconds", Help: "Durations.", Buckets: []float64{0.5, 1, 5},
	})
	for _, value := range seconds {
		durations.Observe(value)
	}
	sizes := prometheus.NewSummary(prometheus.SummaryOpts{
		Name: "client_sizes", Help: "Sizes.", Objectives: map[float64]float64{0.5: 0.05},
	})
	sizes.Observe(size)
	return []prometheus.Collector{done, newest, durations, sizes}
}

// merge pushes two jobs to a group, with each of the two methods.
func merge(g group) error {
	if err := pusher(g, job(2, 7, []float64{0.25, 2}, 8)...).Push(); err != nil {
		return err
	}
	if err := pusher(g, job(3.5, 4, []float64{0.75, 8}, 16)...).Add(); err != nil {
		return err
	}
	say(map[string]any{"did": "merged", "group": g.String()})
	return nil
}

// beRefused pushes a histogram under the name of the gauge.
func beRefused() {
	other := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "client_last", Help: "No gauge."})
	other.Observe(1)
	if err := pusher(group{"job", "refused"}, other).Push(); err != nil {
		say(map[string]any{"did": "refused", "said": err.Error()})
	}
}

// native pushes two native histograms of different resolution to one series, and says what the gateway makes of them.
func native() error {
	pushes := []struct {
		factor float64
		values []float64
	}{
		{1.1, []float64{0, 1, 2, 4}},
		{1.3, []float64{0.5, 2, 2, -4}},
	}
	for _, one := range pushes {
		histogram := prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "client_native", Help: "Native.", NativeHistogramBucketFactor: one.factor,
		})
		for _, value := range one.values {
			histogram.Observe(value)
		}
		if err := pusher(group{"job", mode}, histogram).Add(); err != nil {
			return err
		}
	}
	say(map[string]any{"did": "merged", "group": group{"job", mode}.String()})
	histogram, err := read("client_native")
	if err != nil {
		return err
	}
	say(map[string]any{
		"did":      "read",
		"schema":   histogram.GetSchema(),
		"zero":     histogram.GetZeroCount(),
		"count":    histogram.GetSampleCount(),
		"sum":      histogram.GetSampleSum(),
		"positive": buckets(histogram.GetPositiveSpan(), histogram.GetPositiveDelta()),
		"negative": buckets(histogram.GetNegativeSpan(), histogram.GetNegativeDelta()),
	})
	return nil
}

// read is the one histogram of a family, as a scrape by protobuf has it.
func read(name string) (*dto.Histogram, error) {
	request, err := http.NewRequest(http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	format := expfmt.ResponseFormat(response.Header)
	if format.FormatType() != expfmt.TypeProtoDelim {
		return nil, fmt.Errorf("the scrape is no protobuf: %s", response.Header.Get("Content-Type"))
	}
	decoder := expfmt.NewDecoder(response.Body, format)
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("there is no %s in the scrape", name)
		} else if err != nil {
			return nil, err
		}
		if family.GetName() == name && len(family.Metric) == 1 {
			return family.Metric[0].Histogram, nil
		}
	}
}

// buckets are the populated buckets by index: spans say which ones follow, deltas how they differ from the one before.
func buckets(spans []*dto.BucketSpan, deltas []int64) map[int32]int64 {
	found := map[int32]int64{}
	index, count := int32(0), int64(0)
	for _, span := range spans {
		index += span.GetOffset()
		for range span.GetLength() {
			count += deltas[0]
			deltas = deltas[1:]
			if count != 0 {
				found[index] = count
			}
			index++
		}
	}
	return found
}
