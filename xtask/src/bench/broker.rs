//! The broker's own figures: taken by `benches/peers`, which is told what there is to compare with here.

use super::{Figures, Programs, figures_of};
use crate::postgres::{self, Cluster};
use crate::workspace::Workspace;
use crate::{Outcome, report};
use std::process::Command;

/// Requests after which memory is looked at when there is time.
const MILLION: &str = "1000000";

/// The peer: a script, and where its packages are installed by `cargo xtask strangers`.
const PEER: &str = "oidc_provider_serves.mjs";

/// Runs the program.
pub(super) fn measure(workspace: &Workspace, programs: &Programs, long: bool) -> Outcome<Figures> {
    let mut command = Command::new(programs.peers.join("broker"));
    command
        .arg(&programs.jeton)
        .arg(workspace.target.join("bench/broker"));
    if long {
        command.arg(MILLION);
    }
    let cluster = postgres::programs()
        .map(|programs| Cluster::start(&programs))
        .transpose()?;
    match &cluster {
        Some(cluster) => drop(command.env("JETON_BENCH_POSTGRES", format!("{}/postgres", cluster.url))),
        None => report::note("no PostgreSQL is installed: the broker is measured on SQLite only"),
    }
    let strangers = workspace.target.join("strangers");
    if strangers.join("node_modules/oidc-provider").is_dir() {
        let (from, to) = (
            workspace.root.join("benches/peers").join(PEER),
            strangers.join(PEER),
        );
        std::fs::copy(&from, &to).map_err(|fault| format!("{}: {fault}", to.display()))?;
        command.env("JETON_BENCH_NODE", &strangers);
    } else {
        report::note("oidc-provider is not installed (`cargo xtask strangers` does it): not compared");
    }
    figures_of(&mut command)
}

/// The floors that are made of two figures.
pub(super) fn derive(figures: &mut Figures) {
    let hello = "broker: axum says hello, CPU";
    let sums = [
        (
            "broker floor: hello and the signature checked, CPU",
            [hello, "verify RS256: floor, raw aws-lc-rs with a parsed key"],
        ),
        (
            "token endpoint floor: hello and a signature made, CPU",
            [hello, "sign ES256: floor, raw aws-lc-rs"],
        ),
    ];
    for (name, parts) in sums {
        let values = parts.map(|part| figures.get(part).map(|(value, _)| *value));
        if let [Some(one), Some(other)] = values {
            figures.insert(name.into(), (one + other, "us".into()));
        }
    }
    // What a core does in a second, for who thinks in that.
    let rates = [
        (
            "broker release, caller not seen before, CPU",
            "broker release, not seen, a second and core",
        ),
        (
            "broker release, caller seen before, CPU",
            "broker release, seen, a second and core",
        ),
        (
            "broker exchange ES256, CPU",
            "broker exchange ES256, a second and core",
        ),
        (
            "oidc-provider token ES256, CPU",
            "oidc-provider token ES256, a second and core",
        ),
    ];
    for (cost, name) in rates {
        if let Some((microseconds, _)) = figures.get(cost) {
            figures.insert(name.into(), (1e6 / microseconds, "requests".into()));
        }
    }
}
