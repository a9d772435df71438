import aiomysql
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        database = self.env.DB
        connection = await aiomysql.connect(
            host=database.host,
            port=int(database.port),
            user=database.user,
            password=database.password,
            db=database.database,
        )
        async with connection, connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute("SELECT id, name, city FROM customers ORDER BY id")
            return Response.json(await cursor.fetchall())
