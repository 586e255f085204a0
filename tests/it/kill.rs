//! SIGKILL under load: what was acknowledged is there, once; what was not is there wholly or not at all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use crate::support::engines::on_every_engine;
use crate::support::process::{Process, scratch, wait_until};
use crate::support::wire::Connection;
use crate::support::workload::{Doubtful, Watch, Writer, push_until_lost, settle};

on_every_engine!(no_acknowledged_push_is_lost_doubled_or_half);

const WRITERS: usize = 8;
const KILLS: usize = 32;

/// Scrapes until the connection is lost.
fn scrape_until_killed(address: &str, watch: &Mutex<Watch>, killed: &AtomicBool) {
    while !killed.load(Ordering::SeqCst) {
        let Ok(mut connection) = Connection::open(address) else { return };
        let Ok(reply) = connection.request("GET", "/metrics", "", "") else { return };
        assert_eq!(reply.status, 200, "{}", reply.body);
        watch.lock().see(&reply.body);
    }
}

/// Lets all writers push, and kills the gateway once so many pushes were acknowledged.
fn run_and_kill(gateway: Process, writers: &mut [Writer], watch: &Mutex<Watch>, pushes: usize) -> usize {
    let address = gateway.address.clone();
    let (acknowledged, killed) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for writer in writers {
            scope.spawn(|| push_until_lost(&address, writer, &acknowledged));
        }
        scope.spawn(|| scrape_until_killed(&address, watch, &killed));
        wait_until("enough pushes are acknowledged", || acknowledged.load(Ordering::SeqCst) >= pushes);
        gateway.kill();
        killed.store(true, Ordering::SeqCst);
    });
    acknowledged.into_inner()
}

fn no_acknowledged_push_is_lost_doubled_or_half(engine: &str) {
    let (_scratch, store) = scratch();
    let mut writers = Writer::crew(WRITERS);
    let watch = Mutex::new(Watch::default());
    let (mut doubtful, mut acknowledged) = (Doubtful::default(), 0);
    for kill in 0..KILLS {
        let gateway = Process::start(&store, &[engine]);
        let scrape = gateway.scrape();
        watch.lock().see(&scrape);
        let before = writers.clone();
        let found = settle(&mut writers, &before, &scrape);
        doubtful.landed += found.landed;
        doubtful.lost += found.lost;
        acknowledged += run_and_kill(gateway, &mut writers, &watch, 10 + kill * 37 % 113);
    }
    let gateway = Process::start(&store, &[engine]);
    let before = writers.clone();
    settle(&mut writers, &before, &gateway.scrape());
    assert!(gateway.stop().success());
    let scrapes = watch.into_inner().scrapes;
    eprintln!("{KILLS} kills, {acknowledged} acknowledged, in doubt {doubtful:?}, {scrapes} scrapes");
    assert!(doubtful.landed + doubtful.lost >= KILLS, "the kills hit pushes under way: {doubtful:?}");
    assert!(scrapes > KILLS * 2, "{scrapes}");
}
