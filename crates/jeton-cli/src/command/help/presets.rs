//! `jeton help presets`: what each exchange target wants, read from the table that does the exchange.
use jeton::grant::preset::{Preset, named, names};
use std::fmt::Write;

/// What a profile of a cloud says; these two have files of their own instead of rows.
const CLOUDS: [(&str, &str, &str); 2] = [
    (
        "aws",
        "Credentials of a role (AssumeRoleWithWebIdentity), as the document of a credential_process.\n  \
         endpoint: the region's STS, AWS_ENDPOINT_URL_STS, or the profile's; input audience: sts.amazonaws.com",
        "role = \"arn:aws:iam::123456789012:role/deploy\"",
    ),
    (
        "gcp",
        "A federated access token (STS), or one of a service account (IAM credentials).\n  \
         endpoint: https://sts.googleapis.com and https://iamcredentials.googleapis.com; input audience: the provider's",
        "provider = \"projects/1/locations/global/workloadIdentityPools/p/providers/q\"\n  \
         service_account = \"deploy@project.iam.gserviceaccount.com\"  # may be left out",
    ),
];

/// The page.
pub(super) fn page() -> String {
    let mut text = String::from(
        "A profile with `grant = \"token-exchange\"` and a preset gives a target the identity token of `from`, and gets\n\
         the target's own token for it. `endpoint` overrides where the target is.\n",
    );
    for name in names() {
        let (about, keys) = match CLOUDS.iter().find(|(cloud, _, _)| *cloud == name) {
            Some((_, about, keys)) => ((*about).to_owned(), (*keys).to_owned()),
            None => named(name).map_or_else(Default::default, |preset| (about(preset), keys(preset))),
        };
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n{name}\n  {about}\n\n  [profiles.{name}]\n  grant = \"token-exchange\"\n  preset = \"{name}\"\n  \
             from = \"ambient\"\n  {keys}\n",
        );
    }
    text
}

fn about(preset: &Preset) -> String {
    let endpoint = match preset.endpoint {
        "" => "the profile's",
        known => known,
    };
    let mut about = format!(
        "{}.\n  endpoint: {endpoint}; input audience: {}",
        preset.page, preset.audience
    );
    if preset.expires_in.is_empty() {
        let _ = write!(about, "; its token lives {}", jeton::duration::show(preset.life));
    }
    if preset.revoke.is_some() {
        about.push_str("; `jeton exec --revoke` gives it back");
    }
    about
}

/// The profile's own keys, as lines.
fn keys(preset: &Preset) -> String {
    let mut lines = Vec::new();
    if preset.endpoint.is_empty() {
        lines.push("endpoint = \"https://…\"".to_owned());
    }
    for (key, is_needed) in preset.keys() {
        let line = match key {
            "scope" => "scopes = [\"…\"]".to_owned(),
            key => format!("{key} = \"…\""),
        };
        lines.push(if is_needed {
            line
        } else {
            format!("{line}  # may be left out")
        });
    }
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every profile on the page is one that the configuration takes.
    #[test]
    fn what_the_page_shows_can_be_copied() {
        let page = page();
        for name in names() {
            let start = page.find(&format!("[profiles.{name}]\n")).expect(name);
            let example = page[start..].split("\n\n").next().expect(name);
            let example = example.replace("https://…", "https://target.example");
            let config = jeton::config::Config::parse(&example, "the page").expect(name);
            assert_eq!(config.profiles[name].preset.as_deref(), Some(name));
        }
    }
}
