"""MQTT with aiomqtt: POST keeps a message under the path as its topic, GET waits for it."""

import asyncio

from aiomqtt import Client
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        topic = request.path.strip("/")
        async with Client(self.env.MQTT_HOST, self.env.MQTT_PORT) as broker:
            if request.method == "POST":
                await broker.publish(topic, await request.bytes(), qos=1, retain=True)
                return Response(None, status=204)
            await broker.subscribe(topic, qos=1)
            async with asyncio.timeout(self.env.PATIENCE_S):
                message = await anext(broker.messages)
            return Response(message.payload)
