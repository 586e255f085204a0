//! Runs a case: step by step, until one does not go as expected.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use super::case::{Action, Case, Command, Outcome, Request, Run, Target};
use super::exchange::{Answer, Exchange, exchange};
use super::server::Server;
use super::{expect, payload, scrape};

/// How long the original may take to do what it has acknowledged: it answers a DELETE before that.
const SETTLING_MAX: Duration = Duration::from_secs(2);

/// Runs a case on a server of its own; what went wrong, if anything did.
pub fn on_a_server_of_its_own(case: &Case, target: Target) -> Result<(), String> {
    let mut server = Server::new(case, target);
    if !case.steps.iter().all(|step| is_a_program_of_its_own(&step.what)) {
        server.start()?;
    }
    let mut times = Times::new();
    for step in &case.steps {
        let outcome = settled(target, || perform(case, &step.what, &mut server, &mut times));
        outcome.map_err(|error| format!("{}:{}: {error}", case.file, step.line))?;
    }
    Ok(())
}

fn is_a_program_of_its_own(action: &Action) -> bool {
    matches!(action, Action::Run(Run { command: Command::Server(_), .. }))
}

/// Runs a case against a server that is there already, which holds nothing; it must be [`is_fit_for_a_url`].
pub fn at(address: &str, case: &Case, target: Target) -> Result<(), String> {
    let mut times = Times::new();
    let outcome = case.steps.iter().try_for_each(|step| {
        let outcome = settled(target, || ask(case, &step.what, address, &mut times));
        outcome.map_err(|error| format!("{}:{}: {error}", case.file, step.line))
    });
    // Whatever came of it, the next case finds nothing.
    clear(address)?;
    outcome
}

/// Whether a case needs nothing but a URL.
pub fn is_fit_for_a_url(case: &Case) -> bool {
    let is_asked = |action: &Action| {
        matches!(action, Action::Request(_) | Action::Shows(_) | Action::Has(_) | Action::Lacks(_))
    };
    case.flags.is_empty() && case.steps.iter().all(|step| is_asked(&step.what))
}

/// Times that a case has seen, by the names that it gave them.
pub type Times = BTreeMap<String, f64>;

/// Does something, for the original again and again for a while until it goes well: only what reads the scrape
/// may be repeated.
fn settled(target: Target, mut attempt: impl FnMut() -> Result<Repeatable, String>) -> Result<(), String> {
    let deadline = Instant::now() + SETTLING_MAX;
    loop {
        match attempt() {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if target != Target::Original || Instant::now() > deadline => return Err(error),
            Ok(Err(_)) => thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error),
        }
    }
}

type Repeatable = Result<(), String>;

fn perform(
    case: &Case,
    action: &Action,
    server: &mut Server,
    times: &mut Times,
) -> Result<Repeatable, String> {
    match action {
        Action::Request(_) | Action::Shows(_) | Action::Has(_) | Action::Lacks(_) => {
            ask(case, action, &server.address, times)
        }
        Action::Exits(expected) => check_status(server.wait()?, expected).map(Ok),
        Action::Restart => {
            stop(server)?;
            server.start().map(Ok)
        }
        Action::Stop => stop(server).map(Ok),
        Action::Signal(name) => server.signal(name).map(Ok),
        Action::Kill => {
            server.signal("KILL")?;
            server.wait().map(|_| Ok(()))
        }
        Action::Start => server.start().map(Ok),
        Action::Logs(text) => logs(server, text).map(Ok),
        Action::Run(run) => run_program(server, run).map(Ok),
    }
}

/// Asks the server something, over HTTP.
fn ask(case: &Case, action: &Action, address: &str, times: &mut Times) -> Result<Repeatable, String> {
    let show = |check: &mut dyn FnMut(&str) -> Result<(), String>| {
        let answer = get(address, &case.telemetry_path)?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status != 200 {
            return Err(format!("the scrape is answered {}: {text}", answer.status));
        }
        Ok(check(&text))
    };
    match action {
        Action::Request(request) => request_and_check(address, request).map(Ok),
        Action::Shows(lines) => show(&mut |text| scrape::shows(text, lines)),
        Action::Has(lines) => show(&mut |text| scrape::has(text, lines, times)),
        Action::Lacks(lines) => show(&mut |text| scrape::lacks(text, lines)),
        _ => Err("this needs a server of its own".to_owned()),
    }
}

fn request_and_check(address: &str, request: &Request) -> Result<(), String> {
    let may_hang = matches!(request.outcome, Outcome::Hangs);
    let exchange = exchange(address, request, may_hang).map_err(|error| format!("no answer: {error}"))?;
    match (&request.outcome, exchange) {
        (Outcome::Status(status) | Outcome::StatusOrDropped(status), Exchange::Answered(mut answer)) => {
            let (found, text) = (answer.status, payload::shown(&answer.body));
            if found != *status {
                return Err(format!("the status is {found} in the place of {status}: {text}"));
            }
            request.expected.iter().try_for_each(|expected| expect::check(&mut answer, expected))
        }
        (Outcome::Dropped | Outcome::StatusOrDropped(_), Exchange::Dropped)
        | (Outcome::Hangs, Exchange::Hung) => Ok(()),
        (_, Exchange::Answered(answer)) => Err(format!("it is answered {}", answer.status)),
        (_, Exchange::Dropped) => Err("the connection ends without an answer".to_owned()),
        (_, Exchange::Hung) => Err("there is no answer".to_owned()),
    }
}

fn stop(server: &mut Server) -> Result<(), String> {
    server.signal("TERM")?;
    check_status(server.wait()?, "0")
}

fn logs(server: &Server, text: &str) -> Result<(), String> {
    let deadline = Instant::now() + SETTLING_MAX;
    while !server.log().contains(text) {
        if Instant::now() > deadline {
            return Err(format!("the log does not contain {text:?}:\n{}", server.log()));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn run_program(server: &Server, run: &Run) -> Result<(), String> {
    let (status, output) = server.run(&run.command)?;
    check_status(status, &run.status).map_err(|error| format!("{error}\n{output}"))?;
    match run.output.iter().find(|text| !output.contains(text.as_str())) {
        Some(text) => Err(format!("the output does not contain {text:?}:\n{output}")),
        None => Ok(()),
    }
}

fn check_status(status: ExitStatus, expected: &str) -> Result<(), String> {
    let is_it = match expected {
        "not 0" => status.code().is_some_and(|code| code != 0),
        "signal" => status.signal().is_some(),
        code => status.code().is_some_and(|found| found.to_string() == code),
    };
    is_it.then_some(()).ok_or_else(|| format!("it ended with {status} in the place of {expected}"))
}

/// Gets a page.
pub fn get(address: &str, path: &str) -> Result<Answer, String> {
    let request = plain_request("GET", path);
    match exchange(address, &request, false) {
        Ok(Exchange::Answered(answer)) => Ok(answer),
        Ok(_) => Err(format!("no answer to GET {path}")),
        Err(error) => Err(format!("no answer to GET {path}: {error}")),
    }
}

/// Deletes every group that a scrape names.
fn clear(address: &str) -> Result<(), String> {
    let answer = get(address, "/metrics")?;
    for path in scrape::groups(&String::from_utf8_lossy(&answer.body)) {
        request_and_check(
            address,
            &Request { outcome: Outcome::Status(202), ..plain_request("DELETE", &path) },
        )?;
    }
    Ok(())
}

fn plain_request(method: &str, path: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        outcome: Outcome::Status(200),
        expected: Vec::new(),
    }
}
