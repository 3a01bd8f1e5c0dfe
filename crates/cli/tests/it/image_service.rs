//! A small image service on this machine: answers searches as Openverse does, and serves photos.

use std::path::PathBuf;

use crate::server::{Reply, Request, Server};

/// One photo that a search finds.
pub(crate) struct Offer {
    /// Its path in the service, such as `red/12.jpg`: what it truly shows.
    pub(crate) path: String,
    /// The file that is served; without one the link is dead.
    pub(crate) file: Option<PathBuf>,
}

/// Serves searches (whose terms contain a name) until the process ends; returns the address of the service.
pub(crate) fn serve(searches: Vec<(&'static str, Vec<Offer>)>) -> String {
    Server::start(move |request| respond(request, &searches)).url(1, "")
}

fn respond(request: &Request, searches: &[(&'static str, Vec<Offer>)]) -> Reply {
    if let Some(path) = request.path.strip_prefix("/photo/") {
        let mut offers = searches.iter().flat_map(|(_, offers)| offers);
        let file = offers.find(|offer| offer.path == path).and_then(|offer| offer.file.as_ref());
        return file.map_or(Reply::status(404), |file| Reply::ok(std::fs::read(file).unwrap()));
    }
    let Some(terms) = request.query.get("q") else { return Reply::status(404) };
    let Some((_, offers)) = searches.iter().find(|(name, _)| terms.contains(name)) else {
        return Reply::status(404);
    };
    let number = |name: &str, usual| request.query.get(name).map_or(usual, |text| text.parse().unwrap());
    let (page, size): (usize, usize) = (number("page", 1), number("page_size", 20));
    let base = format!("http://{}", request.headers["host"]);
    // Ids that are plain words become the names of files, which are then the same at every port.
    let results: Vec<serde_json::Value> = offers
        .iter()
        .skip((page - 1) * size)
        .take(size)
        .map(|offer| {
            serde_json::json!({
                "id": offer.path.replace(['/', '.'], "-"), "title": offer.path, "url": format!("{base}/photo/{}", offer.path),
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
    Reply::ok(body.to_string())
}
