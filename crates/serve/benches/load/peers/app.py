"""The web side that both peers share: photos by POST /predict, computed in threads, as many as there are cores."""
import argparse
import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from fastapi import FastAPI, HTTPException, Request

THREADS = int(os.environ.get("OMP_NUM_THREADS", os.cpu_count()))


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--onnx")
    # Photos that are computed at once; more threads than cores only wait for one another.
    parser.add_argument("--workers", type=int, default=THREADS)
    return parser.parse_args()


def serve(predict, args):
    app, pool = FastAPI(), ThreadPoolExecutor(args.workers)

    @app.post("/predict")
    async def answer(request: Request):
        data = await request.body()
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, predict, data)
        except Exception as error:
            raise HTTPException(422, str(error))

    uvicorn.run(app, host="127.0.0.1", port=args.port, log_level="warning", access_log=False)
