//! What somebody else's page, folder or file may not do.

use axum::body::Body;
use axum::http::{StatusCode, header};
use image::ImageFormat;

use crate::asking::{PORT, Studio, request};

/// Two classes of small pictures, one with a name that wants to be a script.
fn photos() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (class, grey) in [("<script>alert(1)</script>", 40), ("\"><img src=x onerror=alert(1)>", 200)] {
        let class = folder.path().join(class.replace('/', "\u{2215}"));
        std::fs::create_dir_all(&class).unwrap();
        for number in 0..4_u8 {
            image::RgbImage::from_pixel(40, 30, [grey, number, 7].into())
                .save(class.join(format!("{number}.png")))
                .unwrap();
        }
    }
    folder
}

#[tokio::test]
async fn only_our_own_name_is_answered() {
    let folder = photos();
    let studio = Studio::open(folder.path()).await;
    let asked = async |host: &str| {
        let request = axum::http::Request::builder()
            .uri("/")
            .header(header::HOST, host)
            .header(header::COOKIE, &studio.cookie);
        studio.ask(request.body(Body::empty()).unwrap()).await.status
    };
    for host in [format!("127.0.0.1:{PORT}"), format!("localhost:{PORT}"), format!("[::1]:{PORT}")] {
        assert_eq!(asked(&host).await, StatusCode::OK, "{host}");
    }
    // Names that somebody may point at this machine: DNS rebinding.
    for host in [
        "evil.example",
        "127.0.0.1",
        "127.0.0.1:80",
        "localhost.evil.example:4321",
        "evil.example:4321",
        "127.0.0.1:4321.evil.example",
        "127.0.0.1:04321",
        "",
    ] {
        assert_eq!(asked(host).await, StatusCode::FORBIDDEN, "{host}");
    }
    let none = axum::http::Request::builder().uri("/").header(header::COOKIE, &studio.cookie);
    assert_eq!(studio.ask(none.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
    let full = request("GET", "http://evil.example:4321/").header(header::COOKIE, &studio.cookie);
    assert_eq!(studio.ask(full.body(Body::empty()).unwrap()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_is_let_in_without_the_secret_of_this_studio() {
    let folder = photos();
    let (studio, other) = (Studio::open(folder.path()).await, Studio::open(folder.path()).await);
    let asked = async |path: &str, cookie: &str| {
        let request = request("GET", path).header(header::COOKIE, cookie);
        studio.ask(request.body(Body::empty()).unwrap()).await
    };
    let name = studio.cookie.split_once('=').unwrap().0;
    for path in [
        "/",
        "/look/photos",
        "/clean/state",
        "/events",
        "/assets/0/studio.js",
        "/thumb/00000000000000000000000000000000",
        "/nowhere",
    ] {
        for cookie in ["", "a=b", &other.cookie, &format!("{name}=0"), &format!("{name}=")] {
            assert_eq!(asked(path, cookie).await.status, StatusCode::FORBIDDEN, "{path} {cookie}");
        }
    }
    assert_eq!(asked(&format!("/?{}", other.token), "").await.status, StatusCode::FORBIDDEN);
    assert_eq!(asked("/?token=", &studio.cookie).await.status, StatusCode::FORBIDDEN);
    // What the browser was started with counts once.
    let once = studio.workspace.access().address_once().unwrap();
    let once = once.split_once("4321").unwrap().1;
    assert_eq!(asked(once, "").await.status, StatusCode::SEE_OTHER);
    assert_eq!(asked(once, "").await.status, StatusCode::FORBIDDEN);
    // The cookie is another secret than the address, and the address has it once: the page that follows has none.
    let welcome = asked(&format!("/look?{}", studio.token), "").await;
    assert_eq!((welcome.status, welcome.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/look"));
    let cookie = welcome.header(header::SET_COOKIE);
    assert!(!cookie.contains(studio.token.trim_start_matches("token=")), "{cookie}");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
}

#[tokio::test]
async fn other_sites_send_nothing() {
    let folder = photos();
    let studio = Studio::open(folder.path()).await;
    let asked = async |from: &[(&str, &str)], path: &str| {
        let mut request = request("POST", path)
            .header(header::COOKIE, &studio.cookie)
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in from {
            request = request.header(*name, *value);
        }
        studio.ask(request.body(Body::from("{}")).unwrap()).await.status
    };
    for path in ["/folder/read", "/clean/apply", "/clean/back", "/clean/undo", "/train/begin", "/try/photo"] {
        for from in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8080")],
            &[("origin", "http://evil.example")],
            &[("origin", "null")],
        ] {
            assert_eq!(asked(from, path).await, StatusCode::FORBIDDEN, "{path} {from:?}");
        }
    }
    let own = format!("http://127.0.0.1:{PORT}");
    assert_eq!(
        asked(&[("sec-fetch-site", "same-origin"), ("origin", &own)], "/folder/read").await,
        StatusCode::OK
    );
}

#[tokio::test]
async fn no_path_leads_out_and_no_file_is_sent_as_it_is() {
    let folder = photos();
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    let studio = Studio::open(folder.path()).await;
    for path in [
        "/thumb/../secret.txt",
        "/thumb/..%2fsecret.txt",
        "/photo/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/photo//etc/passwd",
        "/photo/0",
        "/assets/../Cargo.toml",
        "/assets/x/..%2f..%2fCargo.toml",
        "/take-home/..%2f..%2f/model.sciurus",
        "/take-home/../../model.sciurus",
        "/clean/similar?path=../../etc/passwd",
    ] {
        let answer = studio.get(path).await;
        assert!(
            answer.status.is_client_error() || answer.status == StatusCode::SERVICE_UNAVAILABLE,
            "{path}: {}",
            answer.status
        );
        assert!(!answer.text().contains("secret\n") && !answer.text().contains("root:"), "{path}");
    }
    let photos = studio.get("/look/photos").await.json();
    let content = photos["photos"][0][0].as_str().unwrap();
    let picture = studio.get(&format!("/thumb/{content}")).await;
    assert_eq!(picture.header(header::CONTENT_TYPE), "image/jpeg");
    assert!(picture.header(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    assert_eq!(image::guess_format(&picture.body).unwrap(), ImageFormat::Jpeg);
    // What changed under its content is not sent as that content.
    let path = folder.path().join(photos["photos"][0][3].as_str().unwrap());
    std::fs::write(path, "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>").unwrap();
    assert_eq!(studio.get(&format!("/photo/{content}")).await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn names_stay_text_on_every_page() {
    let folder = photos();
    let studio = Studio::open(folder.path()).await;
    for path in ["/", "/look", "/train", "/clean", "/results", "/try", "/take-home"] {
        let answer = studio.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        let page = answer.text();
        assert!(!page.contains("<script>alert") && !page.contains("<img src=x"), "{path}: {page}");
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.contains("default-src 'none'")
                && !policy.contains("unsafe")
                && policy.contains("frame-ancestors 'none'")
        );
        // Nothing in a page needs what the policy forbids.
        assert!(!page.contains(" style=") && !page.contains(" onclick="), "{path}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    }
}

#[tokio::test]
async fn what_is_sent_is_bounded_and_checked() {
    let folder = photos();
    let studio = Studio::open(folder.path()).await;
    let sent = async |path: &str, length: &str, body: Vec<u8>| {
        let request = request("POST", path)
            .header(header::COOKIE, &studio.cookie)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, length);
        studio.ask(request.body(Body::from(body)).unwrap()).await.status
    };
    let two_gigabytes = (2_u64 << 30).to_string();
    assert_eq!(sent("/try/photo", &two_gigabytes, vec![0; 8]).await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(sent("/clean/decide", &two_gigabytes, vec![0; 8]).await, StatusCode::PAYLOAD_TOO_LARGE);
    let long = vec![b' '; 5 << 20];
    assert_eq!(
        sent("/clean/decide", &long.len().to_string(), long.clone()).await,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    for (path, body) in [
        ("/clean/decide", "{"),
        ("/clean/decide", r#"{"card":"x","photos":[],"choice":"explode"}"#),
        ("/look/decide", r#"{"paths":"all","choice":"keep"}"#),
        ("/train/begin", r#"{"instant":false,"epochs":-1}"#),
        ("/train/begin", r#"{"instant":false,"epochs":1000000}"#),
        ("/train/begin", r#"{"instant":false,"arch":"../../x"}"#),
        ("/train/resume", r#"{"run":"../../x"}"#),
    ] {
        let status = sent(path, &body.len().to_string(), body.as_bytes().to_vec()).await;
        assert!(status.is_client_error(), "{path} {body}: {status}");
    }
}
