//! A token that a platform puts into a file and keeps fresh: when its audience fits, the file is the answer.
use super::Presence;
use super::file::TokenFile;
use crate::answer::{self, Received};
use crate::{Context, Error};
use jeton_core::{Claims, Class, Secret, Token, TokenRequest, decode};

/// The file's token for [`Source::presence`](super::Source::presence). A missing file is a broken platform; every
/// other flaw is left for the fetch to name.
pub(super) fn look(file: &TokenFile) -> Result<Option<Secret>, Presence> {
    match file.read_now() {
        Ok(token) => Ok(Some(token)),
        Err(error) if error.kind() == Class::Config => Err(Presence::broken(
            error.to_string(),
            error
                .hint()
                .unwrap_or("mount the file, or take the variable away"),
        )),
        Err(_) => Ok(None),
    }
}

/// Whether it has every audience that is asked for. One that is asked for nothing fits; so does an opaque one then.
pub(super) fn fits(token: &Secret, request: &TokenRequest) -> bool {
    let has = audiences(token);
    request.audience.iter().all(|wanted| has.contains(wanted))
}

/// Its audiences.
pub(super) fn audiences(token: &Secret) -> Vec<String> {
    claims(token).map_or_else(Vec::new, |claims| claims.audience().map(str::to_owned).collect())
}

/// What it says, unproved.
pub(super) fn claims(token: &Secret) -> Option<Claims> {
    decode(token.reveal()).ok().map(|claims| claims.into_peeked())
}

/// Whom it is about: issuer, subject, and the pod it is bound to, so that a rotated token of the same workload counts
/// as the same and another pod's does not. Of an opaque token, all of it.
pub(super) fn fingerprint(token: &Secret) -> Vec<u8> {
    let Some(claims) = claims(token) else {
        return fingerprint_whole(token);
    };
    let pod = claims
        .get("kubernetes.io")
        .and_then(|of| of.get("pod")?.get("uid")?.as_str());
    let parts = [claims.issuer(), claims.subject(), pod];
    joined(parts.iter().map(|part| part.unwrap_or_default().as_bytes()))
}

/// All of it: where the file itself is the answer, another token in it is another answer.
pub(super) fn fingerprint_whole(token: &Secret) -> Vec<u8> {
    token.reveal().as_bytes().to_vec()
}

/// Parts joined so that no two lists of parts look alike.
pub(super) fn joined<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    }
    all
}

/// The file's token as the answer.
///
/// # Errors
/// [`Class::Token`] when it is dead or of no use.
pub(super) fn token(
    cx: &Context,
    source: &str,
    token: &Secret,
    request: &TokenRequest,
) -> Result<Token, Error> {
    let received = Received::at(cx.clock.now());
    answer::token(cx, source, request, token, received).map_err(|fault| fault.into_error(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_lists_of_parts_look_alike() {
        let join = |parts: &[&str]| joined(parts.iter().map(|part| part.as_bytes()));
        assert_ne!(join(&["ab", "c"]), join(&["a", "bc"]));
        assert_ne!(join(&["ab", ""]), join(&["", "ab"]));
    }
}
