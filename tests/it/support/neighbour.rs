//! Other people's programs that run beside the gateway: Pushgateway, Prometheus.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::{Answer, wait_until};

/// A running program. Killed when dropped.
pub struct Neighbour {
    child: Child,
    /// Its address: one of loopback, and a port.
    pub address: String,
}

impl Neighbour {
    /// Starts a program on a free port, and waits until `ready` answers 200. `flags` gets the address.
    pub fn start(program: &str, ready: &str, flags: impl FnOnce(&str) -> Vec<String>) -> Self {
        let address = free_address();
        let child = Command::new(program)
            .args(flags(&address))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let neighbour = Self { child, address };
        wait_until(&format!("{program} is ready"), || {
            neighbour.try_get(ready).is_some_and(|answer| answer.status == 200)
        });
        neighbour
    }

    /// Starts a Prometheus that scrapes a gateway every second, and keeps its files in this directory.
    pub fn prometheus(gateway: &str, directory: &Path, flags: &[&str]) -> Self {
        let config = directory.join("prometheus.yml");
        let scrape = format!(
            "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: tallygate\n  honor_labels: true\n  \
             static_configs: [{{targets: ['{gateway}']}}]\n",
        );
        std::fs::write(&config, scrape).unwrap();
        let data = directory.join("data");
        Self::start("prometheus", "/-/ready", |address| {
            let own = [
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={}", data.display()),
                format!("--web.listen-address={address}"),
            ];
            own.into_iter().chain(flags.iter().map(|flag| (*flag).to_owned())).collect()
        })
    }

    /// Gets a page.
    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path).expect("it answers")
    }

    fn try_get(&self, path: &str) -> Option<Answer> {
        let url = format!("http://{}{path}", self.address);
        let request = ureq::get(url).config().http_status_as_error(false).build();
        let mut response = request.call().ok()?;
        let status = response.status().as_u16();
        Some(Answer { status, body: response.body_mut().read_to_string().ok()? })
    }
}

/// An address that nobody else uses: these programs cannot say which port they got, and a free port may be taken
/// before they start. So each gets a loopback address of its own, which follows from our process.
fn free_address() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = 1 + STARTED.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let host = format!("127.{}.{}.{number}", 100 + process % 100, process / 100 % 250);
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().to_string()
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
