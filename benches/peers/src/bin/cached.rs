//! A token that is there already: what asking for it again costs.

use arc_swap::ArcSwap;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, ResolveIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::{RuntimeComponents, RuntimeComponentsBuilder};
use aws_smithy_types::config_bag::ConfigBag;
use azure_core::credentials::TokenCredential;
use jeton_peers::{issuer, jeton, nanoseconds, nanoseconds_async, report, AUDIENCE};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

const CALLS: u32 = 200_000;
const SLOW_CALLS: u32 = 20_000;
const THREADS: usize = 2;
const TASKS: usize = 64;

#[derive(Debug)]
struct Fixed;

impl ResolveIdentity for Fixed {
    fn resolve_identity<'a>(&'a self, _: &'a RuntimeComponents, _: &'a ConfigBag) -> IdentityFuture<'a> {
        let end = SystemTime::now() + Duration::from_secs(3600);
        IdentityFuture::ready(Ok(Identity::new("a token".to_owned(), Some(end))))
    }
}

fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let issuer = issuer();
    for (name, value) in issuer.environment("azure-app-service").expect("it knows the platform") {
        std::env::set_var(name, value);
    }
    floor();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(ours(&issuer));
    runtime.block_on(moka());
    runtime.block_on(smithy());
    runtime.block_on(google(&issuer));
    runtime.block_on(azure());
    ours_threads(&issuer, &runtime);
}

fn floor() {
    let kept = ArcSwap::from_pointee(("a token".to_owned(), Instant::now() + Duration::from_secs(3600)));
    let read = || {
        let now = kept.load();
        black_box(now.1 > Instant::now() && !now.0.is_empty());
    };
    report("cached floor: arc-swap and Instant", nanoseconds(CALLS, read), "ns");
}

async fn ours(issuer: &jeton_issuer::RunningIssuer) {
    let jeton = jeton(issuer, "github");
    let request = jeton::TokenRequest::audience(AUDIENCE);
    let slot = jeton.slot(&request);
    slot.token().await.expect("a token");
    let read = || {
        black_box(slot.current().is_some());
    };
    report("cached jeton: slot", nanoseconds(CALLS, read), "ns");
    let read = || async {
        black_box(jeton.token(&request).await.is_ok());
    };
    report("cached jeton: token()", nanoseconds_async(CALLS, read).await, "ns");
}

/// Every task reads; the time is that of one read on one thread.
fn ours_threads(issuer: &jeton_issuer::RunningIssuer, runtime: &tokio::runtime::Runtime) {
    let jeton = jeton(issuer, "github");
    let slot = jeton.slot(&jeton::TokenRequest::audience(AUDIENCE));
    runtime.block_on(slot.token()).expect("a token");
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let started = Instant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(read(slot.clone()))).collect();
            for task in tasks {
                task.await.expect("it ends");
            }
        });
        let reads = f64::from(CALLS) * TASKS as f64 / THREADS as f64;
        best = best.min(started.elapsed().as_secs_f64() * 1e9 / reads);
    }
    report("cached jeton: slot, 2 threads, 64 tasks", best, "ns");
}

async fn read(slot: jeton::jeton::Slot) {
    for _ in 0..CALLS {
        black_box(slot.current().is_some());
    }
}

async fn moka() {
    let cache = moka::future::Cache::builder().time_to_live(Duration::from_secs(3600)).build();
    cache.insert("key", Arc::new("a token".to_owned())).await;
    let read = || async {
        black_box(cache.get("key").await.is_some());
    };
    report("cached moka", nanoseconds_async(CALLS, read).await, "ns");
}

async fn smithy() {
    let components = RuntimeComponentsBuilder::for_tests()
        .with_time_source(Some(SystemTimeSource::new()))
        .with_sleep_impl(Some(TokioSleep::new()))
        .build()
        .expect("components");
    let cache = IdentityCache::lazy().build();
    let resolver = SharedIdentityResolver::new(Fixed);
    let bag = ConfigBag::base();
    let read = || async {
        black_box(cache.resolve_cached_identity(resolver.clone(), &components, &bag).await.is_ok());
    };
    report("cached aws-smithy-runtime", nanoseconds_async(SLOW_CALLS, read).await, "ns");
}

async fn google(issuer: &jeton_issuer::RunningIssuer) {
    let variables = issuer.environment("gcp").expect("it knows the platform");
    let host = variables.iter().find(|(name, _)| name == "GCE_METADATA_HOST").expect("a host");
    let builder = google_cloud_auth::credentials::idtoken::mds::Builder::new(AUDIENCE);
    let credentials = builder.with_endpoint(format!("http://{}", host.1)).build().expect("credentials");
    credentials.id_token().await.expect("a token");
    let read = || async {
        black_box(credentials.id_token().await.is_ok());
    };
    report("cached google-cloud-auth", nanoseconds_async(SLOW_CALLS, read).await, "ns");
}

async fn azure() {
    let credential = azure_identity::ManagedIdentityCredential::new(None).expect("a credential");
    const SCOPES: &[&str] = &["https://vault.azure.net/.default"];
    if let Err(error) = credential.get_token(SCOPES, None).await {
        eprintln!("azure_identity: {error}");
        return;
    }
    let read = || async {
        black_box(credential.get_token(SCOPES, None).await.is_ok());
    };
    report("cached azure_identity", nanoseconds_async(SLOW_CALLS, read).await, "ns");
}
