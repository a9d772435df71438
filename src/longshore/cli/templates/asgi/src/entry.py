from fastapi import FastAPI, Request, WebSocket
from workers import asgi

app = FastAPI(title="{{name}}")


@app.get("/")
async def hello(request: Request):
    return {"message": request.scope["env"].GREETING}


@app.get("/square/{number}")
async def square(number: int):
    return {"number": number, "square": number * number}


@app.websocket("/echo")
async def echo(websocket: WebSocket):
    await websocket.accept()
    async for message in websocket.iter_text():
        await websocket.send_text(message)


Default = asgi.entrypoint(app)
