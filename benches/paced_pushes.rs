//! Pushes at a fixed rate and tells how long each took, counted from the moment at which it was due.
//!
//! A push that has to wait because the answers before it are late is thus counted with its wait, which a client
//! that sends the next push only after the last answer would not notice. Each connection is a blocking socket on
//! a thread of its own, since the kernel's timers are finer than those of an async runtime. Usage:
//! `paced_pushes --address HOST:PORT --path PATH --body FILE --rate N --seconds N --connections N`, and where a
//! password is needed `--authorization VALUE`, the header's; the outcome is
//! one line of JSON with latencies in microseconds. Any answer but 2xx ends the program with an error.

use std::collections::HashMap;
use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long an answer may take before the run counts as failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The threads are all there and connected before the first push is due.
const LEAD: Duration = Duration::from_millis(100);

struct Plan {
    address: String,
    request: Vec<u8>,
    rate: u64,
    pushes: u64,
    connections: usize,
}

fn main() -> ExitCode {
    match plan().and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paced_pushes: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plan() -> Outcome<Plan> {
    let mut given = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        given.insert(name, value);
    }
    let mut take = |name: &str| given.remove(name).ok_or_else(|| format!("{name} is missing"));
    let (address, path) = (take("--address")?, take("--path")?);
    let body_path = take("--body")?;
    let body = std::fs::read(&body_path).map_err(|error| format!("{body_path}: {error}"))?;
    let rate: u64 = take("--rate")?.parse()?;
    let seconds: u64 = take("--seconds")?.parse()?;
    let connections: usize = take("--connections")?.parse()?;
    if rate == 0 || seconds == 0 || connections == 0 {
        return Err("rate, seconds and connections must be above 0".into());
    }
    let authorization =
        take("--authorization").map_or_else(|_| String::new(), |value| format!("Authorization: {value}\r\n"));
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}Content-Length: {length}\r\n\r\n");
    let request = [head.as_bytes(), &body].concat();
    Ok(Plan { address, request, rate, pushes: rate * seconds, connections })
}

fn run(plan: &Plan) -> Outcome<()> {
    let streams = (0..plan.connections).map(|_| connect(&plan.address)).collect::<Outcome<Vec<_>>>()?;
    let next = AtomicU64::new(0);
    let start = Instant::now() + LEAD;
    let mut latencies = thread::scope(|scope| -> Outcome<Vec<u64>> {
        let threads: Vec<_> =
            streams.into_iter().map(|stream| scope.spawn(|| drive(stream, plan, &next, start))).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| "a thread panicked")??);
        }
        Ok(all)
    })?;
    let took = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    report(&latencies, took);
    Ok(())
}

fn connect(address: &str) -> Outcome<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    Ok(stream)
}

/// Takes the next push that is due, waits for its moment, sends it and reads its answer, until all are sent.
/// Gives the nanoseconds from due to answered of each.
fn drive(mut stream: TcpStream, plan: &Plan, next: &AtomicU64, start: Instant) -> Outcome<Vec<u64>> {
    let mut latencies = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.pushes {
            return Ok(latencies);
        }
        let due = start + Duration::from_nanos(number * 1_000_000_000 / plan.rate);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&plan.request)?;
        read_answer(&mut stream, &mut buffer)?;
        latencies.push(u64::try_from(due.elapsed().as_nanos())?);
    }
}

/// Reads one answer to its end. The next request is sent only afterwards, so nothing of another can follow.
fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> Outcome<()> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err("an answer was cut off, or is longer than 16 KiB".into());
        }
        filled += read;
        let Some(head_end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..head_end])?;
        if !head.starts_with("HTTP/1.1 2") {
            return Err(format!("answered {}", head.lines().next().unwrap_or_default()).into());
        }
        if filled >= head_end + 4 + content_length(head)? {
            return Ok(());
        }
    }
}

fn content_length(head: &str) -> Outcome<usize> {
    for line in head.lines() {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(value.trim().parse()?);
        }
    }
    Ok(0)
}

fn report(sorted: &[u64], took_seconds: f64) {
    let micros = |per_mille: usize| {
        let index = (sorted.len() * per_mille / 1_000).min(sorted.len() - 1);
        sorted[index] / 1_000
    };
    println!(
        r#"{{"pushes": {}, "seconds": {took_seconds:.3}, "p50": {}, "p90": {}, "p99": {}, "p999": {}, "max": {}}}"#,
        sorted.len(),
        micros(500),
        micros(900),
        micros(990),
        micros(999),
        micros(1_000)
    );
}
