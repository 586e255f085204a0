// Pushes with prometheus-cpp: push URL MODE [OPTION=VALUE]...
//
// The mode is text, and nothing else. The options: user and password. Each line of the output says as JSON what was
// done; tests/it/clients.rs knows what must come of it.

#include <prometheus/counter.h>
#include <prometheus/gateway.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>

#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

using prometheus::Registry;
using Labels = std::map<std::string, std::string>;

struct Group {
    std::string job;
    Labels labels;

    std::string written() const {
        std::string text = "job=" + job;
        for (const auto& [name, value] : labels) text += "," + name + "=" + value;
        return text;
    }
};

class Pusher {
   public:
    Pusher(const std::string& url, Labels options)
        : host_(url.substr(0, url.rfind(':'))), port_(url.substr(url.rfind(':') + 1)), options_(std::move(options)) {}

    // The client calls POST "push" and PUT "push and add"; both add here.
    void merge(const Group& group) const {
        expect(200, gateway(group, job(2, 7, {0.25, 2}, 8))->Push());
        expect(200, gateway(group, job(3.5, 4, {0.75, 8}, 16))->PushAdd());
        say("merged", "group", group.written());
    }

    // Pushes a histogram under the name of the gauge. The client keeps the reason to itself.
    void be_refused() const {
        auto registry = std::make_shared<Registry>();
        prometheus::BuildHistogram()
            .Name("client_last")
            .Help("No gauge.")
            .Register(*registry)
            .Add({}, prometheus::Histogram::BucketBoundaries{1})
            .Observe(1);
        const int status = gateway({"refused", {}}, {registry})->Push();
        if (status != 200) say("refused", "said", std::to_string(status));
    }

    void remove(const Group& group) const {
        expect(202, gateway(group, {})->Delete());
        say("deleted", "group", group.written());
    }

   private:
    // A gateway and what it holds only weakly.
    struct Ready {
        std::unique_ptr<prometheus::Gateway> gateway;
        std::shared_ptr<Registry> registry;
        prometheus::Gateway* operator->() const { return gateway.get(); }
    };

    Ready gateway(const Group& group, std::shared_ptr<Registry> registry) const {
        auto made = std::make_unique<prometheus::Gateway>(host_, port_, group.job, group.labels, option("user"),
                                                          option("password"));
        if (registry) made->RegisterCollectable(registry);
        return {std::move(made), std::move(registry)};
    }

    // What one short-lived job has to tell.
    static std::shared_ptr<Registry> job(double jobs, double last, const std::vector<double>& seconds, double size) {
        auto registry = std::make_shared<Registry>();
        prometheus::BuildCounter()
            .Name("client_jobs_total")
            .Help("Jobs.")
            .Register(*registry)
            .Add({{"kind", "full"}})
            .Increment(jobs);
        prometheus::BuildGauge().Name("client_last").Help("The newest.").Register(*registry).Add({}).Set(last);
        auto& histogram = prometheus::BuildHistogram()
                              .Name("client_seconds")
                              .Help("Durations.")
                              .Register(*registry)
                              .Add({}, prometheus::Histogram::BucketBoundaries{0.5, 1, 5});
        for (const double value : seconds) histogram.Observe(value);
        prometheus::BuildSummary()
            .Name("client_sizes")
            .Help("Sizes.")
            .Register(*registry)
            .Add({}, prometheus::Summary::Quantiles{{0.5, 0.05}})
            .Observe(size);
        return registry;
    }

    static void expect(int wanted, int status) {
        if (status != wanted) throw std::runtime_error("status " + std::to_string(status));
    }

    static void say(const std::string& did, const std::string& name, const std::string& value) {
        std::cout << "{\"did\":\"" << did << "\",\"" << name << "\":\"" << value << "\"}" << std::endl;
    }

    std::string option(const std::string& name) const {
        const auto found = options_.find(name);
        return found == options_.end() ? std::string() : found->second;
    }

    std::string host_;
    std::string port_;
    Labels options_;
};

int main(int argc, char** argv) {
    if (argc < 3) {
        std::cerr << "push URL MODE [OPTION=VALUE]..." << std::endl;
        return 2;
    }
    Labels options;
    for (int i = 3; i < argc; ++i) {
        const std::string option = argv[i];
        options[option.substr(0, option.find('='))] = option.substr(option.find('=') + 1);
    }
    const Pusher pusher(argv[1], options);
    try {
        pusher.merge({argv[2], {}});
        pusher.be_refused();
        pusher.merge({"keys", {{"name", "of_a_label"}}});
        pusher.merge({"gone", {}});
        pusher.remove({"gone", {}});
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}
