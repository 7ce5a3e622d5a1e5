//! ambient-id in the smallest program that prints a token.

#[tokio::main(flavor = "current_thread")]
async fn main() {
    // It takes whichever provider is the process's.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let token = ambient_id::Detector::new().detect(jeton_peers::AUDIENCE).await;
    println!("{}", token.expect("an answer").expect("a token").reveal());
}
