from email.message import EmailMessage

import aiosmtplib
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """POST / {"to": …, "subject": …, "text": …} sends a mail."""

    async def fetch(self, request):
        if request.method != "POST":
            return Response("POST a mail as JSON: to, subject, text\n", status=405, headers={"allow": "POST"})
        wanted = await request.json()
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = self.env.SMTP_FROM, wanted["to"], wanted["subject"]
        mail.set_content(wanted["text"])
        _, answer = await aiosmtplib.send(
            mail,
            hostname=self.env.SMTP_HOST,
            port=self.env.SMTP_PORT,
            start_tls=self.env.SMTP_START_TLS,  # true: no mail leaves without TLS
            username=getattr(self.env, "SMTP_USER", None),
            password=getattr(self.env, "SMTP_PASSWORD", None),
        )
        return Response.json({"answer": answer}, status=202)
