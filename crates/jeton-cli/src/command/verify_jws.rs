//! `jeton verify-jws`: a signature over a payload that is no claims set.
use super::Command;
use super::inspect::given;
use super::verify::{Refused, algorithms, keys_of_file, reject};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use jeton::core::verify::verify_jws;

pub(super) const COMMAND: Command = Command {
    name: "verify-jws",
    define: <Arguments as clap::Args>::augment_args,
    run: |session, matches| run(session, &super::arguments(matches)?),
};

const EXAMPLES: &str = "\
Examples:
  jeton verify-jws --jwks keys.json < signed.jws > payload

The payload is printed exactly as it was signed, without a newline of ours. Exit codes: 0, 4 and one rejection,
8 when the keys are of no use, 2 usage.";

/// Verify a signature alone, for payloads that are not claims; prints the payload
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    /// The compact JWS; - or nothing reads standard input
    #[arg(value_name = "JWS|-")]
    jws: Option<String>,
    /// The key set
    #[arg(long, value_name = "FILE")]
    jwks: String,
    /// An algorithm that is allowed (repeatable) [default: every asymmetric one]
    #[arg(long, value_name = "ALG")]
    algorithm: Vec<String>,
    /// Print a rejection as JSON
    #[arg(long)]
    json: bool,
}

fn run(session: &Session, arguments: &Arguments) -> Result<Exit, Failure> {
    let allowed = algorithms(&arguments.algorithm)?;
    let jws = given(session, arguments.jws.as_deref())?;
    let keys = match keys_of_file(&arguments.jwks) {
        Ok(keys) => keys,
        Err(refused) => return reject(session, &refused, arguments.json),
    };
    match verify_jws(&jws, &keys, allowed) {
        Ok(payload) => session.output.bytes(&payload.into_inner())?,
        Err(rejection) => return reject(session, &Refused::from(rejection), arguments.json),
    }
    Ok(Exit::Done)
}
