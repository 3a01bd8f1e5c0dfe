//! The Open Inference Protocol: tensors in JSON and in binary.

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::server::{Answered, Server, picture, png};

const INFER: &str = "/v2/models/squirrels/infer";

/// A request of JSON with tensors behind it.
async fn binary(server: &Server, header: &Value, tensors: &[u8]) -> Answered {
    let text = header.to_string();
    let request = Request::post(INFER).header("Inference-Header-Content-Length", text.len());
    server.send(request.body(Body::from([text.as_bytes(), tensors].concat())).unwrap()).await
}

fn output<'a>(answer: &'a Value, name: &str) -> &'a Value {
    answer["outputs"].as_array().unwrap().iter().find(|output| output["name"] == name).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_describes_itself() {
    let server = Server::usual();
    let described = server.get("/v2/models/squirrels").await.ok().json();
    assert_eq!(described["parameters"]["labels"], json!(["grey", "red"]));
    assert_eq!(described["inputs"], json!([{ "name": "image", "datatype": "BYTES", "shape": [-1] }]));
    let names: Vec<&Value> =
        described["outputs"].as_array().unwrap().iter().map(|output| &output["name"]).collect();
    assert_eq!(names, ["label", "probabilities", "similarity", "rejected"]);
    assert_eq!(server.get("/v2/models/squirrels/versions/1").await.ok().json(), described);
    server.get("/v2/models/squirrels/versions/2").await.refused(404);
    server.get("/v2/models/birds/ready").await.refused(404);
    assert_eq!(server.get("/v2").await.ok().json()["extensions"], json!(["binary_tensor_data"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_pixels_in_json_and_in_binary_are_predicted_alike() {
    let server = Server::usual();
    let photos = [picture(1), picture(2)];
    let wanted = photos.each_ref().map(|photo| server.predictor().predict(photo).unwrap());
    let check = |answer: &Value| {
        let probabilities = output(answer, "probabilities");
        assert_eq!(probabilities["shape"], json!([2, 2]));
        for (photo, wanted) in wanted.iter().enumerate() {
            assert_eq!(output(answer, "label")["data"][photo], wanted.label);
            for (class, label) in ["grey", "red"].iter().enumerate() {
                let want = wanted.ranking.iter().find(|(known, _)| known == label).unwrap().1;
                let got = probabilities["data"][2 * photo + class].as_f64().unwrap();
                assert!((got - f64::from(want)).abs() < 1e-5, "{answer}");
            }
        }
    };
    let files = photos.each_ref().map(png);
    let texts = files.each_ref().map(|file| STANDARD.encode(file));
    let body = json!({ "id": "7", "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [2], "data": texts }] });
    let answer = server.post(INFER, "application/json", body.to_string()).await.ok().json();
    assert_eq!(
        (&answer["id"], &answer["model_name"], &answer["model_version"]),
        (&json!("7"), &json!("squirrels"), &json!("1"))
    );
    check(&answer);

    let raw: Vec<u8> =
        files.iter().flat_map(|file| [&(file.len() as u32).to_le_bytes()[..], file].concat()).collect();
    let header = json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [2, 1], "parameters": { "binary_data_size": raw.len() } }] });
    check(&binary(&server, &header, &raw).await.ok().json());

    let pixels: Vec<u8> = photos.iter().flat_map(|photo| photo.as_raw().clone()).collect();
    let shape = json!([2, 70, 90, 3]);
    let header = json!({ "inputs": [{ "name": "image", "datatype": "UINT8", "shape": shape, "parameters": { "binary_data_size": pixels.len() } }] });
    check(&binary(&server, &header, &pixels).await.ok().json());
    let nested: Vec<Vec<&[u8]>> =
        photos.iter().map(|photo| photo.as_raw().chunks(90 * 3).collect()).collect();
    let body =
        json!({ "inputs": [{ "name": "image", "datatype": "UINT8", "shape": shape, "data": nested }] });
    check(&server.post(INFER, "application/json", body.to_string()).await.ok().json());
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_come_in_binary_where_they_are_wanted_so() {
    let server = Server::usual();
    let text = STANDARD.encode(png(&picture(1)));
    let input = json!({ "name": "image", "datatype": "BYTES", "shape": [1], "data": [text] });
    let wanted =
        json!([{ "name": "probabilities", "parameters": { "binary_data": true } }, { "name": "rejected" }]);
    let body = json!({ "inputs": [input], "outputs": wanted });
    let answer = server.post(INFER, "application/json", body.to_string()).await.ok();
    let length: usize = answer.headers["inference-header-content-length"].to_str().unwrap().parse().unwrap();
    let header: Value = serde_json::from_slice(&answer.body[..length]).unwrap();
    assert_eq!(header["outputs"].as_array().unwrap().len(), 2);
    assert_eq!(output(&header, "probabilities")["parameters"]["binary_data_size"], 8);
    assert!(output(&header, "rejected")["data"][0].is_boolean());
    let floats: Vec<f32> =
        answer.body[length..].chunks(4).map(|value| f32::from_le_bytes(value.try_into().unwrap())).collect();
    assert!(floats.len() == 2 && (floats.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{floats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tensors_that_lie_are_refused() {
    let server = Server::usual();
    let input = |datatype: &str, shape: Value, data: Value| json!({ "inputs": [{ "name": "image", "datatype": datatype, "shape": shape, "data": data }] });
    let huge = u64::MAX / 2;
    let cases = [
        json!({}),
        json!({ "inputs": [] }),
        json!({ "inputs": [{ "name": "picture", "datatype": "BYTES", "shape": [0], "data": [] }] }),
        input("BYTES", json!([2]), json!(["aaaa"])),
        input("BYTES", json!([1]), json!([1])),
        input("BYTES", json!([1]), json!(["%"])),
        input("BYTES", json!([1]), json!("aaaa")),
        input("FP32", json!([1]), json!([1.0])),
        input("UINT8", json!([1, 1, 1, 3]), json!([1, 2])),
        input("UINT8", json!([1, 1, 1, 3]), json!([1, 2, 256])),
        input("UINT8", json!([1, 1, 1, 3]), json!([1, 2, "x"])),
        input("UINT8", json!([1, 0, 1, 3]), json!([])),
        input("UINT8", json!([huge, huge, huge, 3]), json!([])),
    ];
    for case in cases {
        assert!(
            !server.post(INFER, "application/json", case.to_string()).await.refused(400).is_empty(),
            "{case}"
        );
    }
    let deep = format!(
        r#"{{"inputs":[{{"name":"image","datatype":"UINT8","shape":[1,1,1,3],"data":{}}}]}}"#,
        "[".repeat(100_000)
    );
    server.post(INFER, "application/json", deep).await.refused(400);
    for (size, tensors) in
        [(9, &b"\x04\0\0\0abcd"[..]), (8, b"\x05\0\0\0abcd"), (3, b"\x04\0\0"), (8, b"\xff\xff\xff\xffabcd")]
    {
        let header = json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [1], "parameters": { "binary_data_size": size } }] });
        binary(&server, &header, tensors).await.refused(400);
    }
    let request = Request::post(INFER)
        .header("Inference-Header-Content-Length", "99999")
        .body(Body::from("{}"))
        .unwrap();
    server.send(request).await.refused(400);
    let text = STANDARD.encode(png(&picture(1)));
    let body = json!({ "inputs": [{ "name": "image", "datatype": "BYTES", "shape": [1], "data": [text] }], "outputs": [{ "name": "boxes" }] });
    assert!(
        server.post(INFER, "application/json", body.to_string()).await.refused(404).contains("probabilities")
    );
}
