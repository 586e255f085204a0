//! What the operating system says of this process: the families `process_*` that every Prometheus client has.
//!
//! Read at each scrape. Where the system does not tell, as anywhere but on Linux, a family is not shown.

use std::fs;
use std::sync::LazyLock;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

use super::instruments::Family;
use super::metrics::Declaration;
use crate::model::{LabelSet, MetricType, Value};

const CPU_SECONDS: Declaration =
    counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
const MAX_FDS: Declaration = gauge("process_max_fds", "Maximum number of open file descriptors.");
const OPEN_FDS: Declaration = gauge("process_open_fds", "Number of open file descriptors.");
const RECEIVED_BYTES: Declaration = counter(
    "process_network_receive_bytes_total",
    "Number of bytes received over the network by all processes that share this one's view of it.",
);
const SENT_BYTES: Declaration = counter(
    "process_network_transmit_bytes_total",
    "Number of bytes sent over the network by all processes that share this one's view of it.",
);
const RESIDENT_BYTES: Declaration = gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
const START_SECONDS: Declaration =
    gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
const VIRTUAL_BYTES: Declaration = gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
const VIRTUAL_MAX_BYTES: Declaration =
    gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.");

/// What there is.
pub(super) const DECLARATIONS: [Declaration; 9] = [
    CPU_SECONDS,
    MAX_FDS,
    OPEN_FDS,
    RECEIVED_BYTES,
    SENT_BYTES,
    RESIDENT_BYTES,
    START_SECONDS,
    VIRTUAL_BYTES,
    VIRTUAL_MAX_BYTES,
];

const fn counter(name: &'static str, help: &'static str) -> Declaration {
    Declaration { name, help, metric_type: MetricType::Counter, labels: &[] }
}

const fn gauge(name: &'static str, help: &'static str) -> Declaration {
    Declaration { name, help, metric_type: MetricType::Gauge, labels: &[] }
}

/// What the system says now.
pub(super) fn families() -> Vec<Family> {
    let stat = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text));
    let network = fs::read_to_string("/proc/self/net/netstat").ok().and_then(|text| octets(&text));
    let open_fds = fs::read_dir("/proc/self/fd").ok().map(|open| as_float(open.count() as u64));
    [
        (CPU_SECONDS, stat.as_ref().map(|stat| ticks_as_seconds(stat.cpu_ticks))),
        (MAX_FDS, Some(limit(Resource::Nofile))),
        (OPEN_FDS, open_fds),
        (RECEIVED_BYTES, network.map(|(received, _)| as_float(received))),
        (SENT_BYTES, network.map(|(_, sent)| as_float(sent))),
        (
            RESIDENT_BYTES,
            stat.as_ref().map(|stat| as_float(stat.resident_pages) * as_float(page_size() as u64)),
        ),
        (START_SECONDS, stat.as_ref().and_then(Stat::start_seconds)),
        (VIRTUAL_BYTES, stat.as_ref().map(|stat| as_float(stat.virtual_bytes))),
        (VIRTUAL_MAX_BYTES, Some(limit(Resource::As))),
    ]
    .into_iter()
    .filter_map(|(declaration, value)| Some(family(declaration, value?)))
    .collect()
}

fn family(declaration: Declaration, value: f64) -> Family {
    let Declaration { name, help, metric_type, .. } = declaration;
    let value = if metric_type == MetricType::Counter { Value::Counter(value) } else { Value::Gauge(value) };
    Family { name, help, metric_type, series: vec![(LabelSet::default(), value)] }
}

/// The limit that is in force; without one, the largest number there is, as the Go client shows it.
fn limit(resource: Resource) -> f64 {
    as_float(getrlimit(resource).current.unwrap_or(u64::MAX))
}

fn ticks_as_seconds(ticks: u64) -> f64 {
    as_float(ticks) / as_float(clock_ticks_per_second())
}

#[allow(clippy::cast_precision_loss, reason = "a gauge past 2^53 may be off by one")]
fn as_float(number: u64) -> f64 {
    number as f64
}

/// Some of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    /// Since the machine was started.
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// Reads the line. The name of the program, in brackets, may hold blanks and brackets.
    fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Numbered as in proc(5), from 1 on; the first two are left of the bracket.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }

    /// When the process was started, since the Unix epoch.
    fn start_seconds(&self) -> Option<f64> {
        static MACHINE_START: LazyLock<Option<u64>> = LazyLock::new(|| {
            let stat = fs::read_to_string("/proc/stat").ok()?;
            stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
        });
        Some(as_float((*MACHINE_START)?) + ticks_as_seconds(self.start_ticks))
    }
}

/// The bytes received and sent, of `/proc/self/net/netstat`: pairs of lines, the names and the numbers.
fn octets(netstat: &str) -> Option<(u64, u64)> {
    let mut lines = netstat.lines().filter_map(|line| line.strip_prefix("IpExt: "));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let number = |wanted: &str| {
        let mut pairs = names.split(' ').zip(numbers.split(' '));
        pairs.find(|(name, _)| *name == wanted)?.1.parse().ok()
    };
    Some((number("InOctets")?, number("OutOctets")?))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_program_may_have_any_name() {
        let line = "42 (a ) b) S 1 42 42 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0 900 4096000 250 18446744073709551615 1 1";
        let stat = Stat { cpu_ticks: 12, start_ticks: 900, virtual_bytes: 4_096_000, resident_pages: 250 };
        assert_eq!(Stat::parse(line), Some(stat));
        for line in ["", "42 (x", "42 (x) S 1 2", "1 (x) S 1 42 42 0 -1 0 0 0 0 0 x 5 0 0 20 0 3 0 9 4 2"] {
            assert_eq!(Stat::parse(line), None, "{line}");
        }
    }

    #[test]
    fn bytes_of_the_network_are_found_by_name() {
        let text = "TcpExt: InOctets X\nTcpExt: 9 9\nIpExt: A InOctets OutOctets\nIpExt: 1 20 30\n";
        assert_eq!(octets(text), Some((20, 30)));
        assert_eq!(octets("IpExt: A\nIpExt: 1\n"), None);
        assert_eq!(octets(""), None);
    }

    #[test]
    fn this_process_is_like_one() {
        let families = families();
        let value = |name: &str| {
            let family = families.iter().find(|family| family.name == name).expect(name);
            match family.series[0].1 {
                Value::Counter(value) | Value::Gauge(value) => value,
                ref other => panic!("{name}: {other:?}"),
            }
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let started = value("process_start_time_seconds");
        assert!(started > now - 86_400.0 && started < now + 5.0, "{started}");
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_open_fds") < value("process_max_fds"));
        let (resident, size) =
            (value("process_resident_memory_bytes"), value("process_virtual_memory_bytes"));
        assert!(resident > 1e5 && resident < size, "{resident} of {size}");
        assert!(size <= value("process_virtual_memory_max_bytes"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
