"""Send a mail with aiosmtplib: STARTTLS on the submission port, certificate verified.

curl http://localhost:8787 --json '{"to": "ann@example.com", "subject": "Hello", "text": "From a worker"}'
"""

from email.message import EmailMessage

import aiosmtplib
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        if request.method != "POST":
            return Response("POST a JSON object with to, subject and text\n", status=405, headers={"allow": "POST"})
        wanted = await request.json()
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.env.MAIL_FROM, wanted["to"], wanted["subject"]
        message.set_content(wanted["text"])
        _, said = await aiosmtplib.send(
            message, hostname=self.env.SMTP_HOST, port=self.env.SMTP_PORT, start_tls=True, timeout=10
        )
        return Response.json({"server": said})
