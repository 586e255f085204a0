//! The bare server that `make bench` compares with: axum as its documentation shows it, and nothing behind it.
//!
//! A POST or PUT of any path is read to its end and answered 200. With `--file PATH` a GET is answered with the
//! bytes of that file, held in one buffer in memory. With `--log PATH` bodies are written to that file, and answered
//! once an fdatasync has covered them: the least that whoever promises durability has to do.
//! Usage: `bare_axum --listen ADDRESS [--file PATH] [--log PATH]`.

use std::error::Error;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Bytes of the log, which is written around and around: all of it is allocated once, so that a sync need not
/// write what the file system keeps about the file.
const LOG_BYTES: usize = 16 << 20;

/// Bodies that wait at most for their turn to be written.
const WAITING_MAX: usize = 1_024;

/// How long it takes at least, for each body that is in flight, from one sync to the next, and at most for all: as
/// long as Tallygate's committer gives itself.
const PACE: Duration = Duration::from_micros(6);
const PACE_MAX: Duration = Duration::from_millis(3);

/// A body, and whom to tell once it is on disk.
struct Entry {
    body: Bytes,
    synced: oneshot::Sender<()>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare_axum: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let mut listen = None;
    let mut served = Bytes::new();
    let mut log = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--listen" => listen = Some(value),
            "--file" => {
                served = Bytes::from(std::fs::read(&value).map_err(|error| format!("{value}: {error}"))?)
            }
            "--log" => log = Some(write_log(&value).map_err(|error| format!("{value}: {error}"))?),
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let listener = TcpListener::bind(listen.ok_or("--listen is missing")?).await?;
    let app = Router::new().fallback(move |request| answer(request, served.clone(), log.clone()));
    axum::serve(listener, app).await?;
    Ok(())
}

/// The whole body is collected, as a handler that takes it as `Bytes` would; axum's limit of 2 MB, which is
/// below a large push, is not there.
async fn answer(request: Request, served: Bytes, log: Option<mpsc::Sender<Entry>>) -> Response {
    if request.method() == Method::GET {
        return ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], served).into_response();
    }
    let Ok(body) = request.into_body().collect().await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let body = std::hint::black_box(body.to_bytes());
    if let Some(log) = log {
        let (synced, on_disk) = oneshot::channel();
        if log.send(Entry { body, synced }).await.is_err() || on_disk.await.is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    StatusCode::OK.into_response()
}

/// Starts a thread that writes what waits to a file, syncs it once, and tells everybody.
fn write_log(path: &str) -> io::Result<mpsc::Sender<Entry>> {
    let file = File::create(path)?;
    file.write_all_at(&vec![0; LOG_BYTES], 0)?;
    file.sync_all()?;
    let (log, mut waiting) = mpsc::channel::<Entry>(WAITING_MAX);
    thread::spawn(move || {
        let (mut entries, mut bytes, mut at) = (Vec::new(), Vec::new(), 0);
        while waiting.blocking_recv_many(&mut entries, WAITING_MAX) > 0 {
            let begun = Instant::now();
            bytes.clear();
            entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.body));
            if at + bytes.len() > LOG_BYTES {
                at = 0;
            }
            let written = file.write_all_at(&bytes, at as u64).and_then(|()| file.sync_data());
            if let Err(error) = written {
                eprintln!("bare_axum: {error}");
                return;
            }
            at += bytes.len();
            let in_flight = u32::try_from(entries.len() + waiting.len()).unwrap_or(u32::MAX);
            for entry in entries.drain(..) {
                // Whoever asked may be gone.
                let _ = entry.synced.send(());
            }
            if let Some(rest) = (PACE * in_flight).min(PACE_MAX).checked_sub(begun.elapsed()) {
                thread::sleep(rest);
            }
        }
    });
    Ok(log)
}
