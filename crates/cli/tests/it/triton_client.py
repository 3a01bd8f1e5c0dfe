"""Asks a server in all ways that tritonclient has. In: a port, and a photo. Out: what is said of the photo, each time the same."""
import base64
import json
import sys

import numpy as np
import tritonclient.http as triton

MODEL, OUTPUTS = "run", ["label", "probabilities", "similarity", "rejected"]
client = triton.InferenceServerClient(f"127.0.0.1:{sys.argv[1]}", network_timeout=60, connection_timeout=60)
with open(sys.argv[2], "rb") as file:
    photo = file.read()


def ask(values, datatype, in_binary, out_binary, **more):
    image = triton.InferInput("image", list(values.shape), datatype)
    image.set_data_from_numpy(values, binary_data=in_binary)
    wanted = [triton.InferRequestedOutput(name, binary_data=out_binary) for name in OUTPUTS]
    answer = client.infer(MODEL, [image], outputs=None if out_binary is None else wanted, **more)
    label, *numbers = [answer.as_numpy(name) for name in OUTPUTS]
    return [text_of(label), *numbers]


def same(one, other):
    for a, b in zip(one, other):
        assert np.array_equal(a, b) if a.dtype == object else np.allclose(a, b, atol=1e-5), (one, other)


def text_of(labels):
    """Labels as text, which come as bytes in binary."""
    return np.array([label.decode() if isinstance(label, bytes) else label for label in labels], dtype=np.object_)


assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL)
assert client.is_model_ready(MODEL, model_version="1") and not client.is_model_ready("none")
assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
described = client.get_model_metadata(MODEL)
labels = described["parameters"]["labels"]
assert [output["name"] for output in described["outputs"]] == OUTPUTS, described

raw = np.array([photo, photo], dtype=np.object_)
text = np.array([base64.b64encode(photo).decode()] * 2, dtype=np.object_)
answers = [ask(raw, "BYTES", True, out) for out in (True, False, None)]
answers += [ask(text, "BYTES", False, out) for out in (True, False)]
answers.append(ask(raw, "BYTES", True, True, model_version="1", request_id="7", timeout=1000))
for answer in answers:
    same(answers[0], answer)

pixels = np.random.default_rng(7).integers(0, 256, (2, 40, 60, 3), np.uint8)
same(*[ask(pixels, "UINT8", in_binary, True) for in_binary in (True, False)])

image = triton.InferInput("image", [2], "BYTES")
image.set_data_from_numpy(raw)
several = [client.async_infer(MODEL, [image]) for _ in range(4)]
assert len({str(answer.get_result().as_numpy("label")) for answer in several}) == 1

for model, values, why in [("none", raw, "no model"), (MODEL, np.array([b"no photo"], dtype=np.object_), "")]:
    image = triton.InferInput("image", list(values.shape), "BYTES")
    image.set_data_from_numpy(values)
    try:
        client.infer(model, [image])
        raise SystemExit(f"{model} answered")
    except triton.InferenceServerException as error:
        assert why in error.message() and len(error.message()) > 10, error

label, probabilities, similarity, rejected = (output[0] for output in answers[0])
probability = float(probabilities[labels.index(label)])
print(json.dumps({"label": label, "probability": probability, "similarity": float(similarity), "rejected": bool(rejected)}))
