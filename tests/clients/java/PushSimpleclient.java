import io.prometheus.client.CollectorRegistry;
import io.prometheus.client.Counter;
import io.prometheus.client.Gauge;
import io.prometheus.client.Histogram;
import io.prometheus.client.Summary;
import io.prometheus.client.exporter.BasicAuthHttpConnectionFactory;
import io.prometheus.client.exporter.PushGateway;
import java.io.IOException;
import java.net.URL;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Pushes with simpleclient_pushgateway: java PushSimpleclient.java URL MODE [OPTION=VALUE]...
 *
 * <p>The mode is text, and nothing else. The options: user and password. Each line of the output says as JSON what was
 * done; tests/it/clients.rs knows what must come of it.
 */
class PushSimpleclient {
    private final PushGateway gateway;
    private final String mode;

    PushSimpleclient(String url, String mode, Map<String, String> options) throws IOException {
        this.gateway = new PushGateway(new URL(url));
        this.mode = mode;
        if (options.containsKey("user")) {
            gateway.setConnectionFactory(
                new BasicAuthHttpConnectionFactory(options.get("user"), options.get("password")));
        }
    }

    public static void main(String[] args) throws IOException {
        Map<String, String> options = Arrays.stream(args).skip(2).map(option -> option.split("=", 2))
            .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
        new PushSimpleclient(args[0], args[1], options).run();
    }

    void run() throws IOException {
        merge(mode, group());
        beRefused();
        // A slash and nothing go as base64. A space goes as a plus, and stays one, as with Pushgateway.
        merge("keys/and more", group("path", "/var/tmp"));
        merge("keys", group("empty", "", "name", "with space"));
        merge("keys", group("city", "Köln"));
        merge("gone", group());
        delete("gone", group());
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

    static String written(String job, Map<String, String> group) {
        return "job=" + job + group.entrySet().stream().map(label -> "," + label.getKey() + "=" + label.getValue())
            .collect(Collectors.joining());
    }

    /** What one short-lived job has to tell. */
    static CollectorRegistry job(double jobs, double last, double[] seconds, double size) {
        CollectorRegistry registry = new CollectorRegistry();
        Counter.build("client_jobs_total", "Jobs.").labelNames("kind").register(registry).labels("full").inc(jobs);
        Gauge.build("client_last", "The newest.").register(registry).set(last);
        Histogram histogram = Histogram.build("client_seconds", "Durations.").buckets(0.5, 1, 5).register(registry);
        for (double value : seconds) {
            histogram.observe(value);
        }
        Summary.build("client_sizes", "Sizes.").quantile(0.5, 0.05).register(registry).observe(size);
        return registry;
    }

    /** Pushes two jobs to a group, with each of the two methods. */
    void merge(String job, Map<String, String> group) throws IOException {
        gateway.push(job(2, 7, new double[] {0.25, 2}, 8), job, group);
        gateway.pushAdd(job(3.5, 4, new double[] {0.75, 8}, 16), job, group);
        say("merged", "group", written(job, group));
    }

    /** Pushes a histogram under the name of the gauge. */
    void beRefused() {
        CollectorRegistry registry = new CollectorRegistry();
        Histogram.build("client_last", "No gauge.").register(registry).observe(1);
        try {
            gateway.push(registry, "refused");
        } catch (IOException refusal) {
            say("refused", "said", refusal.getMessage());
        }
    }

    void delete(String job, Map<String, String> group) throws IOException {
        gateway.delete(job, group);
        say("deleted", "group", written(job, group));
    }
}
