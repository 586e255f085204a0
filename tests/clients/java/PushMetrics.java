import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Gauge;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.core.metrics.Summary;
import io.prometheus.metrics.exporter.pushgateway.Format;
import io.prometheus.metrics.exporter.pushgateway.PushGateway;
import io.prometheus.metrics.model.registry.PrometheusRegistry;
import java.io.IOException;
import java.net.URI;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Pushes with prometheus-metrics-exporter-pushgateway: java PushMetrics.java URL MODE [OPTION=VALUE]...
 *
 * <p>The modes are protobuf, which is what the client does by itself, and text. The options: user and password. Each
 * line of the output says as JSON what was done; tests/it/clients.rs knows what must come of it.
 */
class PushMetrics {
    private final String address;
    private final String mode;
    private final Map<String, String> options;

    PushMetrics(String url, String mode, Map<String, String> options) {
        this.address = URI.create(url).getAuthority();
        this.mode = mode;
        this.options = options;
    }

    public static void main(String[] args) throws IOException {
        Map<String, String> options = Arrays.stream(args).skip(2).map(option -> option.split("=", 2))
            .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
        new PushMetrics(args[0], args[1], options).run();
    }

    void run() throws IOException {
        merge(group("job", mode));
        beRefused();
        // A slash and nothing go as base64. A space goes as a plus, and stays one, as with Pushgateway.
        merge(group("job", "keys/and more", "path", "/var/tmp"));
        merge(group("job", "keys", "empty", "", "name", "with space"));
        merge(group("job", "keys", "city", "Köln"));
        merge(group("job", "gone"));
        delete(group("job", "gone"));
    }

    static Map<String, String> group(String... pairs) {
        Map<String, String> group = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            group.put(pairs[i], pairs[i + 1]);
        }
        return group;
    }

    static void say(String did, String name, String value) {
        String quoted = value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
        System.out.printf("{\"did\":\"%s\",\"%s\":\"%s\"}%n", did, name, quoted);
    }

    static String written(Map<String, String> group) {
        return group.entrySet().stream().map(label -> label.getKey() + "=" + label.getValue())
            .collect(Collectors.joining(","));
    }

    PushGateway gateway(Map<String, String> group, PrometheusRegistry registry) {
        PushGateway.Builder builder = PushGateway.builder().address(address).registry(registry);
        group.forEach((name, value) -> {
            if (name.equals("job")) {
                builder.job(value);
            } else {
                builder.groupingKey(name, value);
            }
        });
        if (mode.equals("text")) {
            builder.format(Format.PROMETHEUS_TEXT);
        }
        if (options.containsKey("user")) {
            builder.basicAuth(options.get("user"), options.get("password"));
        }
        return builder.build();
    }

    /** What one short-lived job has to tell. */
    static PrometheusRegistry job(double jobs, double last, double[] seconds, double size) {
        PrometheusRegistry registry = new PrometheusRegistry();
        Counter.builder().name("client_jobs_total").help("Jobs.").labelNames("kind").register(registry)
            .labelValues("full").inc(jobs);
        Gauge.builder().name("client_last").help("The newest.").register(registry).set(last);
        // With both parts, the classic and the native one, as the client makes them by itself.
        Histogram histogram = Histogram.builder().name("client_seconds").help("Durations.")
            .classicUpperBounds(0.5, 1, 5).register(registry);
        for (double value : seconds) {
            histogram.observe(value);
        }
        Summary.builder().name("client_sizes").help("Sizes.").quantile(0.5).register(registry).observe(size);
        return registry;
    }

    /** Pushes two jobs to a group, with each of the two methods. */
    void merge(Map<String, String> group) throws IOException {
        gateway(group, job(2, 7, new double[] {0.25, 2}, 8)).push();
        gateway(group, job(3.5, 4, new double[] {0.75, 8}, 16)).pushAdd();
        say("merged", "group", written(group));
    }

    /** Pushes a histogram under the name of the gauge. */
    void beRefused() {
        PrometheusRegistry registry = new PrometheusRegistry();
        Histogram.builder().name("client_last").help("No gauge.").register(registry).observe(1);
        try {
            gateway(group("job", "refused"), registry).push();
        } catch (IOException refusal) {
            say("refused", "said", refusal.getMessage());
        }
    }

    void delete(Map<String, String> group) throws IOException {
        gateway(group, new PrometheusRegistry()).delete();
        say("deleted", "group", written(group));
    }
}
