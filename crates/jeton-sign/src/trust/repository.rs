//! A TUF repository over jeton's own fetch loop, and what is kept of it in jeton's own cache.
use crate::services::below;
use jeton::cache::{Disk, Key};
use jeton::fetch::success;
use jeton::http::{Request, Url, checked_url};
use jeton::{Context, Error};
use sigstore_tuf::MetadataStore;
use sigstore_tuf::transport::{FetchFuture, Repository};

/// What messages call it.
const WHAT: &str = "trust root";
/// The kind of document in cache keys.
const KIND: &str = "tuf-1";
/// Statuses with which object stores say that there is nothing: the last root has no successor yet.
const NOT_HERE: [u16; 2] = [403, 404];

/// A repository on the network.
pub(super) struct Mirror {
    cx: Context,
    url: Url,
}

impl Mirror {
    pub(super) fn new(cx: Context, url: &str) -> Result<Self, Error> {
        let url = checked_url(url, WHAT)?;
        Ok(Self { cx, url })
    }

    async fn get(&self, path: &str, most: u64) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        let fetched = async {
            let mut request = Request::get(below(&self.url, path)?);
            request.body_cap = usize::try_from(most).unwrap_or(usize::MAX);
            let read = |response: &jeton::http::Response| match NOT_HERE.contains(&response.status) {
                true => Ok(None),
                false => success(response).map(|()| Some(response.body.to_vec())),
            };
            self.cx.fetch(WHAT, &request, read).await
        };
        let fetched = fetched.await;
        fetched.map_err(|e| sigstore_tuf::Error::transport_with_source("fetch", e))
    }
}

impl Repository for Mirror {
    fn fetch_metadata<'a>(&'a self, name: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(self.get(name, max_length))
    }

    fn fetch_target<'a>(&'a self, path: &'a str, max_length: u64) -> FetchFuture<'a> {
        Box::pin(async move { self.get(&format!("targets/{path}"), max_length).await })
    }
}

/// The fetch's own error, where an update failed for want of an answer.
pub(super) fn fetch_error(error: &sigstore_tuf::Error) -> Option<Error> {
    std::error::Error::source(error)?.downcast_ref::<Error>().cloned()
}

/// What is kept of one repository: with the rights, the checks and the atomic writes of every other document.
#[derive(Clone)]
pub(super) struct Kept {
    disk: Disk,
    url: String,
}

impl Kept {
    pub(super) fn new(disk: Disk, url: &str) -> Self {
        let url = url.to_owned();
        Self { disk, url }
    }

    fn key(&self, name: &str) -> Key {
        Key::of_document(KIND, &format!("{} {name}", self.url))
    }
}

impl MetadataStore for Kept {
    fn load(&self, name: &str) -> sigstore_tuf::Result<Option<Vec<u8>>> {
        Ok(self.disk.read_document(&self.key(name)))
    }

    fn store(&self, name: &str, bytes: &[u8]) -> sigstore_tuf::Result<()> {
        // What cannot be kept is fetched again: a cache never fails a command.
        let _kept = self.disk.write_document(&self.key(name), bytes);
        Ok(())
    }
}
