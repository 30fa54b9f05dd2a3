//! One page: how it is fetched, and what may go wrong.

use std::fmt;
use std::io::Read;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use libpa::{Call, parse_retry_after};
use sha2::{Digest, Sha256};
use ureq::http::header::RETRY_AFTER;
use ureq::{Agent, Body, http::Response};

pub struct Address {
    pub url: String,
    /// Attempts that were answered 429.
    pub refused: AtomicU32,
}

impl Address {
    pub fn new(url: &str) -> Self {
        Self { url: url.into(), refused: AtomicU32::new(0) }
    }
}

/// What there is to know about a page. The body itself is hashed as it comes in, and not kept.
pub struct Page {
    pub size_bytes: u64,
    pub sha256: String,
}

/// Why a page could not be had.
pub enum Failure {
    /// The server answered, but not with the page; and may have said how long to wait.
    Status(u16, Option<Duration>),
    Transport(ureq::Error),
    Body(std::io::Error),
    /// Ctrl-C, or the time for this attempt is over.
    Stopped,
}

impl Failure {
    /// An address that is wrong stays wrong; a server that is busy may have time later.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::Status(status, _) => matches!(status, 429 | 502 | 503 | 504),
            Self::Transport(error) => {
                matches!(error, ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Timeout(_))
            }
            Self::Body(_) | Self::Stopped => true,
        }
    }

    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(429 | 503, wait) => *wait,
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, _) => write!(f, "the server answered {status}"),
            Self::Transport(error) => error.fmt(f),
            Self::Body(error) => error.fmt(f),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

pub struct Fetcher {
    agent: Agent,
}

impl Fetcher {
    /// Each worker has a connection, which is kept open between requests.
    pub fn new(workers: u32) -> Self {
        let connections = workers as usize;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections);
        Self { agent: config.build().into() }
    }

    /// The function of the map.
    pub fn fetch(&self, address: &Address, call: &Call) -> Result<Page, Failure> {
        let request = self.agent.get(&address.url).config().timeout_global(call.remaining()).build();
        let mut response = request.call().map_err(Failure::Transport)?;
        let status = response.status().as_u16();
        if status == 429 {
            address.refused.fetch_add(1, Relaxed);
        }
        let page = read(response.body_mut(), call)?; // in any case, so that the connection can be used again
        if status == 200 { Ok(page) } else { Err(Failure::Status(status, wait_of(&response))) }
    }
}

fn wait_of(response: &Response<Body>) -> Option<Duration> {
    parse_retry_after(response.headers().get(RETRY_AFTER)?.to_str().ok()?)
}

fn read(body: &mut Body, call: &Call) -> Result<Page, Failure> {
    let (mut reader, mut chunk) = (body.as_reader(), [0; 16 * 1024]);
    let (mut size_bytes, mut digest) = (0, Sha256::new());
    loop {
        if call.stopped() {
            return Err(call.give_up(Failure::Stopped)); // not done, rather than failed
        }
        match reader.read(&mut chunk).map_err(Failure::Body)? {
            0 => return Ok(Page { size_bytes, sha256: format!("{:x}", digest.finalize()) }),
            size => {
                digest.update(&chunk[..size]);
                size_bytes += size as u64;
            }
        }
    }
}
