//! The bare server that `make bench` compares with: axum as its documentation shows it, and nothing behind it.
//!
//! A POST or PUT of any path is read to its end and answered 200. With `--file PATH` a GET is answered with the
//! bytes of that file, held in one buffer in memory. Usage: `bare_axum --listen ADDRESS [--file PATH]`.

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::net::TcpListener;

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
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--listen" => listen = Some(value),
            "--file" => {
                served = Bytes::from(std::fs::read(&value).map_err(|error| format!("{value}: {error}"))?)
            }
            _ => return Err(format!("unknown argument {argument}").into()),
        }
    }
    let listener = TcpListener::bind(listen.ok_or("--listen is missing")?).await?;
    let app = Router::new().fallback(move |request| answer(request, served.clone()));
    axum::serve(listener, app).await?;
    Ok(())
}

/// The whole body is collected, as a handler that takes it as `Bytes` would; axum's limit of 2 MB, which is
/// below a large push, is not there.
async fn answer(request: Request, served: Bytes) -> Response {
    if request.method() == Method::GET {
        return ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], served).into_response();
    }
    match request.into_body().collect().await {
        Ok(body) => {
            std::hint::black_box(body.to_bytes());
            StatusCode::OK.into_response()
        }
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
