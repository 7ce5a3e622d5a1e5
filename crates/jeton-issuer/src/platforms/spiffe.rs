//! SPIFFE: where the Workload API is. What answers there is `workload_api`, with the crate's feature `spiffe`.
use super::{Environment, Platform, variables};
use crate::desk::Desk;
use crate::error::Error;

pub(super) const SPIFFE: Platform = Platform {
    name: "spiffe",
    routes: &[],
    environment,
};

fn environment(desk: &Desk<'_>) -> Environment {
    let socket = desk.options().spiffe_socket.as_ref();
    let socket = socket.ok_or_else(|| Error::new("start the issuer with a socket for the Workload API"))?;
    Ok(variables([(
        "SPIFFE_ENDPOINT_SOCKET",
        format!("unix://{}", socket.display()),
    )]))
}
