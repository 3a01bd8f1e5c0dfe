//! A small image service on this machine: answers searches as Openverse does, and serves photos.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

/// One photo that a search finds.
pub(crate) struct Offer {
    /// Its path in the service, such as `red/12.jpg`: what it truly shows.
    pub(crate) path: String,
    /// The file that is served; without one the link is dead.
    pub(crate) file: Option<PathBuf>,
}

/// Serves searches (whose terms contain a name) until the process ends; returns the address of the service.
pub(crate) fn serve(searches: Vec<(&'static str, Vec<Offer>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (base, searches) = (address.clone(), Arc::new(searches));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (base, searches) = (base.clone(), Arc::clone(&searches));
            // A client that goes away is no failure of the service.
            std::thread::spawn(move || answer(&stream, &base, &searches).ok());
        }
    });
    address
}

fn answer(stream: &TcpStream, base: &str, searches: &[(&'static str, Vec<Offer>)]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while reader.read_line(&mut header)? > 2 {
            header.clear();
        }
        let target = request.split(' ').nth(1).unwrap_or("/");
        let (status, kind, body) = respond(target, base, searches);
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        let mut stream = stream;
        stream.write_all(head.as_bytes())?;
        stream.write_all(&body)?;
    }
}

fn respond(
    target: &str,
    base: &str,
    searches: &[(&'static str, Vec<Offer>)],
) -> (&'static str, &'static str, Vec<u8>) {
    let nothing = ("404 Not Found", "text/html", b"<!DOCTYPE html><h1>gone</h1>".to_vec());
    if let Some(path) = target.strip_prefix("/photo/") {
        let path = path.split('?').next().unwrap_or(path);
        let mut offers = searches.iter().flat_map(|(_, offers)| offers);
        let file = offers.find(|offer| offer.path == path).and_then(|offer| offer.file.as_ref());
        return match file.and_then(|file| std::fs::read(file).ok()) {
            Some(bytes) => ("200 OK", "image/jpeg", bytes),
            None => nothing,
        };
    }
    let Some(query) = target.split_once('?').map(|(_, query)| query) else { return nothing };
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    let terms = value("q").unwrap_or_default();
    let Some((_, offers)) = searches.iter().find(|(name, _)| terms.contains(name)) else { return nothing };
    let page: usize = value("page").and_then(|page| page.parse().ok()).unwrap_or(1);
    let size: usize = value("page_size").and_then(|size| size.parse().ok()).unwrap_or(20);
    let results: Vec<serde_json::Value> = offers
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|offer| {
            serde_json::json!({
                "id": offer.path, "title": offer.path, "url": format!("{base}/photo/{}", offer.path),
                "thumbnail": format!("{base}/photo/{}", offer.path),
                "foreign_landing_url": format!("{base}/about/{}", offer.path),
                "license": "by", "license_version": "4.0",
                "license_url": "https://creativecommons.org/licenses/by/4.0/",
                "creator": "A. Photographer", "creator_url": null, "attribution": "by A. Photographer",
                "width": 800, "height": 600, "source": "flickr", "category": "photograph",
            })
        })
        .collect();
    let pages = offers.len().div_ceil(size);
    let body = serde_json::json!({
        "result_count": offers.len(), "page_count": pages, "page_size": size, "page": page, "results": results,
    });
    ("200 OK", "application/json", body.to_string().into_bytes())
}
