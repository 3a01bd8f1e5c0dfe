"""Answers what an ONNX file with fixed sizes says of squares, by tract: python tract.py MODEL SIDE SQUARES, all squares in one file."""
import json
import sys

import numpy
import tract

path, side, squares = sys.argv[1], int(sys.argv[2]), sys.argv[3]
model = tract.onnx().load(path)
model.set_input_fact(0, f"1,{side},{side},3,u8")
runnable = model.into_model().into_runnable()
pixels = numpy.fromfile(squares, dtype=numpy.uint8).reshape(-1, 1, side, side, 3)
for square in pixels:
    probabilities = runnable.run([square])[0].to_numpy()
    print(json.dumps(probabilities[0].tolist()))
