"""Answers what an ONNX file says of photos: model and photos on standard input, a line of JSON for each photo on standard output."""
import sys

# Nothing is imported from the folder that the program runs in: it may be anybody's.
sys.path[:] = [path for path in sys.path if path not in ("", ".")]

import json
import struct

import numpy
import onnxruntime

stream = sys.stdin.buffer


def exactly(count):
    data = stream.read(count)
    if len(data) != count:
        sys.exit()
    return data


(length,) = struct.unpack("<Q", exactly(8))
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
session = onnxruntime.InferenceSession(exactly(length), options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
outputs = [output.name for output in session.get_outputs()]
print(json.dumps({"version": onnxruntime.__version__}), flush=True)
while True:
    height, width = struct.unpack("<II", exactly(8))
    pixels = numpy.frombuffer(exactly(height * width * 3), dtype=numpy.uint8)
    answers = session.run(None, {name: pixels.reshape(1, height, width, 3)})
    print(json.dumps({output: answer[0].tolist() for output, answer in zip(outputs, answers)}), flush=True)
