import asyncio

import aiomqtt
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """PUT /kitchen/lamp publishes the body, kept by the broker; GET /kitchen/lamp tells the last message."""

    async def fetch(self, request):
        topic = request.path.strip("/") or "greeting"
        async with aiomqtt.Client(self.env.MQTT_HOST, port=self.env.MQTT_PORT) as client:
            if request.method == "PUT":
                await client.publish(topic, await request.bytes(), retain=True)
                return Response(status=204)
            await client.subscribe(topic)
            try:
                async with asyncio.timeout(self.env.MQTT_WAIT_S):
                    message = await anext(aiter(client.messages))
            except TimeoutError:
                return Response(f"nothing was published on {topic}\n", status=404)
            return Response(message.payload)
