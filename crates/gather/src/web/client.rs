//! HTTP clients. In: [`WebOptions`]. Out: one client for the services that the user chose, and one for photos from
//! anywhere.

use super::address::Guard;
use super::options::WebOptions;
use crate::error::GatherError;
use reqwest::{Client, ClientBuilder, Proxy, redirect};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use url::Url;

/// A client for sources, whose addresses the user chose.
pub(crate) fn for_sources(options: &WebOptions) -> Result<Client, GatherError> {
    let client = builder(options)?.redirect(within_the_origin()).timeout(options.search_timeout);
    client.build().map_err(network)
}

/// A client for photos. It doesn't follow redirects by itself, so that each can be checked first, and it resolves names
/// through the guard.
pub(crate) fn for_photos(options: &WebOptions) -> Result<(Client, Guard), GatherError> {
    let proxy_host =
        options.proxy.as_ref().and_then(|proxy| Url::parse(proxy).ok()?.host_str().map(str::to_owned));
    let guard = Guard::new(options.allow_private_hosts.iter().cloned().chain(proxy_host));
    let client = builder(options)?.redirect(redirect::Policy::none()).dns_resolver(Arc::new(guard.clone()));
    Ok((client.build().map_err(network)?, guard))
}

/// Keys travel in headers and parameters, so a service must not redirect to another host or port, or away from TLS.
fn within_the_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let (next, before) = (attempt.url(), attempt.previous());
        let same = before.len() <= 3 && before.last().is_some_and(|last| is_same_service(last, next));
        if same { attempt.follow() } else { attempt.stop() }
    })
}

/// Whether two addresses belong to the same service: the same host and port, or an upgrade from HTTP at its usual port
/// to HTTPS at its usual port on the same host.
fn is_same_service(last: &Url, next: &Url) -> bool {
    let upgraded = (last.scheme(), next.scheme()) == ("http", "https");
    let same_port = last.port_or_known_default() == next.port_or_known_default();
    let port = if upgraded { last.port().is_none() && next.port().is_none() } else { same_port };
    last.host() == next.host() && port && (upgraded || last.scheme() == next.scheme())
}

fn builder(options: &WebOptions) -> Result<ClientBuilder, GatherError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls().map_err(network)?)
        .user_agent(options.user_agent())
        .connect_timeout(options.connect_timeout)
        .referer(false)
        .no_proxy();
    let Some(proxy) = &options.proxy else { return Ok(builder) };
    Ok(builder.proxy(Proxy::all(proxy).map_err(network)?))
}

/// The same cryptography and root certificates as for downloading weights, without a C library.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn network(error: impl std::error::Error + Send + Sync + 'static) -> GatherError {
    GatherError::Network { source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_stays_at_its_host_port_and_tls() {
        let is_same =
            |last: &str, next: &str| is_same_service(&last.parse().unwrap(), &next.parse().unwrap());
        for (last, next) in [
            ("https://a.example/x", "https://a.example/y"),
            ("https://a.example/x", "https://a.example:443/y"),
            ("http://a.example:8080/x", "http://a.example:8080/y"),
            ("http://a.example/x", "https://a.example/y"),
        ] {
            assert!(is_same(last, next), "{last} {next}");
        }
        for (last, next) in [
            ("https://a.example/x", "http://a.example/x"),
            ("https://a.example/x", "http://a.example:443/x"),
            ("https://a.example/x", "https://a.example:8443/x"),
            ("http://a.example:8080/x", "http://a.example/x"),
            ("http://a.example:8080/x", "https://a.example/x"),
            ("http://a.example/x", "https://a.example:8443/x"),
            ("https://a.example/x", "https://b.a.example/x"),
            ("https://a.example/x", "https://a.example.evil.example/x"),
            ("http://127.0.0.1:80/x", "http://127.0.0.2:80/x"),
        ] {
            assert!(!is_same(last, next), "{last} {next}");
        }
    }
}
