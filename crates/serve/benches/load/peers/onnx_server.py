"""FastAPI + onnxruntime, on the CPU. The graph takes float32 [view, 3, height, width] and gives logits [view, class]."""
import numpy as np
import onnxruntime

from app import THREADS, arguments, serve
from bundle import Bundle

args = arguments()
bundle = Bundle(args.model)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = max(1, THREADS // args.workers)
session = onnxruntime.InferenceSession(args.onnx, options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name


def predict(data):
    image = (bundle.pixels(data) * bundle.scale + bundle.shift).transpose(2, 0, 1)[None]
    if bundle.mirrored:
        image = np.concatenate([image, image[:, :, :, ::-1]])
    return bundle.answer(session.run(None, {name: np.ascontiguousarray(image, np.float32)})[0])


serve(predict, args)
