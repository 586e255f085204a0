//! The application: the only place that wires the rooms together, starts what runs beside requests, and
//! stops it all.

mod error;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use tokio::runtime::Handle;

use error::AppError;

use crate::config::{Config, OnDamage, Store, WebFile};
use crate::gateway::{self, Gateway, RestoreError, SystemClock};
use crate::http;
use crate::http::access::Access;
use crate::net::{self, Listener, Peer, Tls};
use crate::storage::{
    Engine, EngineKind, NoEngine, RedbEngine, RedbOptions, SledEngine, SledOptions, quarantine,
};
use crate::telemetry::{self, Metrics, build};

/// How often it is looked whether the web configuration file has changed; the same must be seen twice.
const WEB_FILE_PAUSE: Duration = Duration::from_secs(1);

/// Runs the gateway until it is told to stop. Says what went wrong in the log; the exit code is 0 only if
/// everything was written; `docs/configuration.md` has the others.
pub fn run(config: &Config) -> ExitCode {
    telemetry::init(config.log_level, config.log_format);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(err = %error, "tallygate ends with an error");
            ExitCode::from(error.exit_code())
        }
    }
}

fn start(config: &Config) -> Result<(), AppError> {
    tracing::info!(version = build::VERSION, revision = build::REVISION, "starting tallygate");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(AppError::Runtime)?;
    let readers = net::readers_runtime().map_err(AppError::Runtime)?;
    let outcome = runtime.block_on(serve(config, readers.handle().clone()));
    // What still runs after a clean stop is a scrape that nobody reads.
    readers.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(config: &Config, readers: Handle) -> Result<(), AppError> {
    let shutdown = net::signals().map_err(AppError::Signals)?;
    // Before the store is opened: a second instance on the same port must not even look at it.
    let listeners = if config.systemd_socket {
        net::systemd::inherited()?
    } else {
        net::bind(&config.listen, config.unix_socket_mode)?
    };
    let metrics = Arc::new(Metrics::default());
    let gateway = open_gateway(config, &metrics)?;
    let (tls, access) = guards(config, &readers)?;
    let router = http::Router::guarded(gateway.clone(), metrics, config.http.clone(), access);
    for address in listeners.iter().map(Listener::local_address) {
        tracing::info!(%address, tls = tls.is_some(), "listening");
    }
    net::systemd::notify_ready();

    let quit = router.quit_requested();
    let answer = move |request: Request<Incoming>, peer: Peer| {
        router.clone().answer_to(peer.ip(), request.map(Body::new))
    };
    let stopped = async {
        tokio::select! {
            signal = shutdown => tracing::info!(?signal, "stopping: open requests are finished first"),
            () = quit => tracing::info!("stopping by request: open requests are finished first"),
        }
        net::systemd::notify_stopping();
    };
    let cut_off = net::serve(listeners, tls, answer, config.net, readers, stopped).await;
    if cut_off > 0 {
        tracing::warn!(connections = cut_off, "connections were closed without an answer");
    }
    gateway.stop().await?;
    tracing::info!("stopped; everything is written");
    Ok(())
}

/// TLS and access as the web configuration file has them, now and whenever it changes.
fn guards(config: &Config, readers: &Handle) -> Result<(Option<Tls>, Option<Access>), AppError> {
    let Some(file) = &config.web_file else { return Ok((None, None)) };
    let tls = file.settings().tls.clone().map(Tls::new);
    let access = Access::new(file.settings().access.clone()).map_err(AppError::Passwords)?;
    readers.spawn(follow(file.clone(), tls.clone(), access.clone()));
    Ok((tls, Some(access)))
}

/// Looks every second whether the web configuration file, or what it names, has changed and stays as it is; never
/// returns.
async fn follow(mut file: WebFile, tls: Option<Tls>, access: Access) {
    loop {
        tokio::time::sleep(WEB_FILE_PAUSE).await;
        let (tls, access) = (tls.clone(), access.clone());
        // A disk may take its time.
        let looking = tokio::task::spawn_blocking(move || {
            match file.look_again() {
                None => {}
                Some(Ok(change)) => {
                    if let (Some(tls), Some(new)) = (tls, &change.settings.tls) {
                        tls.replace(new.clone());
                    }
                    access.replace(change.settings.access.clone());
                    tracing::info!("the web configuration file has changed and is followed");
                    for remark in &change.settings.remarks {
                        tracing::warn!("{remark}");
                    }
                    for what in &change.opened {
                        tracing::warn!(what, "the web configuration file lets in more than before");
                    }
                }
                Some(Err(error)) => {
                    tracing::error!(err = %error, "the web configuration file has changed and is not followed");
                }
            }
            file
        });
        match looking.await {
            Ok(looked) => file = looked,
            // The program ends.
            Err(_) => return,
        }
    }
}

fn open_gateway(config: &Config, metrics: &Arc<Metrics>) -> Result<Gateway, AppError> {
    let Store::Directory { path, engine, cache_bytes, on_damage } = &config.store else {
        tracing::warn!("nothing is kept: the store's path is empty, so a restart begins with nothing");
        return Ok(load(config, metrics, Box::new(NoEngine))?);
    };
    let open = || -> Result<Gateway, AppError> {
        Ok(load(config, metrics, open_engine(path, *engine, *cache_bytes)?)?)
    };
    match open() {
        Err(error) if *on_damage == OnDamage::Quarantine => {
            let damage = error.damage().ok_or(error)?;
            set_aside(path, damage)?;
            open()
        }
        outcome => outcome,
    }
}

fn open_engine(path: &Path, kind: EngineKind, cache_bytes: u64) -> Result<Box<dyn Engine>, AppError> {
    Ok(match kind {
        EngineKind::Sled => {
            let options = SledOptions { cache_bytes, ..SledOptions::default() };
            Box::new(SledEngine::open(path, &options)?)
        }
        EngineKind::Redb => {
            let options = RedbOptions { cache_bytes, ..RedbOptions::default() };
            Box::new(RedbEngine::open(path, &options)?)
        }
    })
}

fn load(config: &Config, metrics: &Arc<Metrics>, engine: Box<dyn Engine>) -> Result<Gateway, RestoreError> {
    let clock: Arc<dyn gateway::Clock> = Arc::new(SystemClock);
    let gateway = Gateway::open(engine, config.gateway.clone(), clock, Arc::clone(metrics))?;
    tracing::info!(groups = metrics.groups.get(), series = metrics.series.get(), "the store is loaded");
    Ok(gateway)
}

fn set_aside(path: &Path, damage: String) -> Result<(), AppError> {
    match quarantine(path) {
        Ok(aside) => {
            tracing::error!(
                err = damage,
                moved_to = %aside.display(),
                "the store is damaged and was set aside; starting with an empty one"
            );
            Ok(())
        }
        Err(source) => Err(AppError::Quarantine { damage, source }),
    }
}
